"""For MODULE.bazel files.

    bazel_dep(name = "rules_hermetic", version = "0.1.0")

    hermetic = use_extension("@rules_hermetic//hermetic:extensions.bzl", "hermetic")
    hermetic.environment(name = "train", lock = "//:lockfiles/train.lock.json")
    use_repo(hermetic, "hermetic_tool", "train")
"""

load("//hermetic/private:hub.bzl", "declarations", "write_hub")
load("//hermetic/private:lock.bzl", "read_lock")
load("//hermetic/private:package.bzl", "hermetic_base", "hermetic_package")
load("//hermetic/private:tool.bzl", "hermetic_tool")

def _hub_impl(ctx):
    write_hub(ctx, ctx.attr.hub, ctx.read(ctx.path(ctx.attr.lock)), ctx.attr.lock)

_hub = repository_rule(
    implementation = _hub_impl,
    attrs = {
        "hub": attr.string(mandatory = True),  # ctx.name is another one under modules
        "lock": attr.label(mandatory = True, allow_single_file = True),
    },
)

def _hermetic_impl(ctx):
    pythons = [tag.python for module in ctx.modules for tag in module.tags.tool]
    hermetic_tool(name = "hermetic_tool", python = pythons[0] if pythons else "")
    for module in ctx.modules:
        for tag in module.tags.environment:
            _hub(name = tag.name, hub = tag.name, lock = tag.lock)
            lock = read_lock(ctx.read(ctx.path(tag.lock)), tag.lock)
            for kind, name, values in declarations(tag.name, lock):
                if kind == "base":
                    hermetic_base(name = name, **values)
                else:
                    hermetic_package(name = name, channels = tag.channels, project = tag.project, **values)

hermetic = module_extension(
    implementation = _hermetic_impl,
    tag_classes = {
        "environment": tag_class(attrs = {
            "name": attr.string(mandatory = True),
            "lock": attr.label(mandatory = True, allow_single_file = True),
            "channels": attr.string_dict(),
            "project": attr.label(),
        }),
        "tool": tag_class(attrs = {"python": attr.string()}),
    },
)
