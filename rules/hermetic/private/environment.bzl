"""The packages of one platform, and the environment that they make on disk."""

load(":tool_rule.bzl", "ToolInfo", "step")

PackagesInfo = provider(
    doc = "The locked packages of one platform.",
    fields = {
        "platform": "string: conda's name of the platform.",
        "archives": "dict: each package's archive, by its name in a plan of layers.",
        "parts": "dict: parts of the lock, by their file names.",
        "closure": "list: the packages that Python needs to run.",
        "plan": "list: the layers of an image, from the bottom to the top.",
        "base": "list: the files of the base; empty if the lock has no image.",
    },
)

def part_of(packages, package, kind):
    """Gives the part of the lock that a step of a package needs."""
    return packages.parts["%s.%s.json" % (package.replace(":", "_"), kind)]

def _packages_impl(ctx):
    archives = {package: target.files.to_list()[0] for target, package in ctx.attr.archives.items()}
    return [
        PackagesInfo(
            platform = ctx.attr.platform,
            archives = archives,
            parts = {file.basename: file for file in ctx.files.parts},
            closure = ctx.attr.closure,
            plan = json.decode(ctx.attr.plan),
            base = ctx.files.base,
        ),
        DefaultInfo(files = depset(archives.values())),
    ]

hermetic_packages = rule(
    implementation = _packages_impl,
    attrs = {
        "platform": attr.string(mandatory = True),
        "archives": attr.label_keyed_string_dict(allow_files = True),
        "parts": attr.label_list(allow_files = [".json"]),
        "closure": attr.string_list(),
        "plan": attr.string(default = "[]"),
        "base": attr.label(allow_files = True),
    },
    doc = "Made by hermetic_environment; nothing to write by hand.",
)

def _env_impl(ctx):
    packages = ctx.attr.packages[PackagesInfo]
    out = ctx.actions.declare_directory(ctx.label.name)
    arguments = ctx.actions.args()
    arguments.add("--part", packages.parts["all.json"])
    arguments.add_all(["%s=%s" % (name, file.path) for name, file in packages.archives.items()], before_each = "--archive")
    arguments.add("--prefix", ctx.attr.prefix)
    arguments.add("--link-scripts", ctx.attr.link_scripts)
    arguments.add("--no-dangling-links")
    arguments.add("--out", out.path)
    step(
        ctx,
        ctx.attr._tool[ToolInfo],
        "env",
        arguments,
        [packages.parts["all.json"]] + packages.archives.values(),
        [out],
        "Building the environment %s" % ctx.label,
    )
    return [DefaultInfo(files = depset([out]), runfiles = ctx.runfiles([out]))]

hermetic_env = rule(
    implementation = _env_impl,
    attrs = {
        "packages": attr.label(mandatory = True, providers = [PackagesInfo], doc = "As @NAME//:packages."),
        "prefix": attr.string(
            default = "/opt/hermetic/env",
            doc = "Where the environment's files say that it lies, where a package must hold the path.",
        ),
        "link_scripts": attr.string(default = "refuse", values = ["refuse", "skip"]),
        "_tool": attr.label(default = "@hermetic_tool//:tool", providers = [ToolInfo]),
    },
    doc = "An environment as a folder (a tree artifact).",
)
