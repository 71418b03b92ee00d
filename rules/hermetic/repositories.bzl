"""For WORKSPACE files.

    load("@rules_hermetic//hermetic:repositories.bzl", "hermetic_environment", "hermetic_tool")

    hermetic_tool(name = "hermetic_tool")

    hermetic_environment(name = "train", lock = "//:lockfiles/train.lock.json")

    load("@train//:repositories.bzl", "fetch")

    fetch()
"""

load("//hermetic/private:hub.bzl", "declarations", "write_hub")
load("//hermetic/private:package.bzl", _hermetic_base = "hermetic_base", _hermetic_package = "hermetic_package")
load("//hermetic/private:tool.bzl", _hermetic_tool = "hermetic_tool")

hermetic_base = _hermetic_base
hermetic_package = _hermetic_package
hermetic_tool = _hermetic_tool

_FETCH = """\
load("@rules_hermetic//hermetic:repositories.bzl", "hermetic_base", "hermetic_package")

_PACKAGES = {packages}

_BASES = {bases}

def fetch():
    \"\"\"Declares a repository for each package, and for the base; each is fetched when something needs it.\"\"\"
    for name, values in _PACKAGES.items():
        hermetic_package(name = name, channels = {channels}, project = {project}, **values)
    for name, values in _BASES.items():
        hermetic_base(name = name, **values)
"""

def _environment_impl(ctx):
    lock = write_hub(ctx, ctx.name, ctx.read(ctx.path(ctx.attr.lock)), ctx.attr.lock)
    found = declarations(ctx.name, lock)
    ctx.file("repositories.bzl", _FETCH.format(
        packages = {name: values for kind, name, values in found if kind == "package"},
        bases = {name: values for kind, name, values in found if kind == "base"},
        channels = ctx.attr.channels,
        project = repr(str(ctx.attr.project)) if ctx.attr.project else None,
    ), executable = False)

hermetic_environment = repository_rule(
    implementation = _environment_impl,
    attrs = {
        "lock": attr.label(mandatory = True, allow_single_file = True, doc = "The lockfile."),
        "channels": attr.string_dict(
            doc = "Addresses of channels, by their names in the lock; default: what hermetic is configured for.",
        ),
        "project": attr.label(doc = "The project's hermetic.toml, which may name channels."),
    },
    doc = "Makes a repository of a lock: its targets :env and :layers, and fetch() for its packages' repositories.",
)
