"""Images: an action for each package, each layer, and the whole, so that a change makes only its own part anew."""

load(":environment.bzl", "PackagesInfo", "part_of")
load(":tool_rule.bzl", "ToolInfo", "step")

LayersInfo = provider(
    doc = "The layers of an environment.",
    fields = {
        "packages": "PackagesInfo: what is in them.",
        "layers": "list: for each layer what is told of it, and its blob.",
        "survey": "File: what follows for all packages together.",
        "options": "dict: how they are made.",
    },
)

ImageInfo = provider(
    doc = "An image.",
    fields = {
        "layout": "File: the OCI layout, a folder.",
        "digest": "File: the digest of its manifest.",
    },
)

_TOOL = attr.label(default = "@hermetic_tool//:tool", providers = [ToolInfo])

def _look(ctx, tool, packages, package):
    word = package.replace(":", "_")
    part = part_of(packages, package, "look")
    out = ctx.actions.declare_file("%s/%s.contents.json" % (ctx.label.name, word))
    arguments = ctx.actions.args()
    arguments.add("--part", part)
    arguments.add("--package", package)
    arguments.add("--archive", packages.archives[package])
    arguments.add("--out", out)
    step(ctx, tool, "look", arguments, [part, packages.archives[package]], [out], "Looking into %s" % package)
    return out

def _survey(ctx, tool, packages, contents):
    out = ctx.actions.declare_file("%s/survey.json" % ctx.label.name)
    lost = {
        package: ctx.actions.declare_file("%s/%s.lost.json" % (ctx.label.name, package.replace(":", "_")))
        for package in packages.archives
    }
    arguments = ctx.actions.args()
    arguments.add("--part", packages.parts["all.json"])
    arguments.add_all(contents, before_each = "--contents")
    arguments.add_all(["%s=%s" % (name, file.path) for name, file in lost.items()], before_each = "--lost")
    arguments.add("--link-scripts", ctx.attr.link_scripts)
    arguments.add("--out", out)
    inputs = [packages.parts["all.json"]] + contents
    step(ctx, tool, "survey", arguments, inputs, [out] + lost.values(), "Surveying %s" % ctx.label)
    return out, lost

def _fragment(ctx, tool, packages, package, lost, options):
    word = package.replace(":", "_")
    part = part_of(packages, package, "fragment")
    out = ctx.actions.declare_file("%s/%s.fragment.json" % (ctx.label.name, word))
    member = ctx.actions.declare_file("%s/%s.member" % (ctx.label.name, word))
    names = {name: packages.archives[name] for name in [package] + packages.closure}
    arguments = ctx.actions.args()
    arguments.add("--part", part)
    arguments.add("--package", package)
    arguments.add_all(["%s=%s" % (name, file.path) for name, file in names.items()], before_each = "--archive")
    arguments.add("--lost", lost)
    arguments.add("--options", options)
    arguments.add("--member", member)
    arguments.add("--out", out)
    inputs = [part, lost, options] + names.values()
    step(ctx, tool, "fragment", arguments, inputs, [out, member], "Packing %s" % package)
    return [out, member]

def _layer(ctx, tool, number, layer, fragments, options):
    out = ctx.actions.declare_file("%s/layer%d.json" % (ctx.label.name, number))
    blob = ctx.actions.declare_file("%s/layer%d.blob" % (ctx.label.name, number))
    arguments = ctx.actions.args()
    arguments.add("--name", layer["name"])
    inputs = [options]
    for package in layer["packages"]:
        arguments.add("--fragment")
        arguments.add_all(fragments[package])
        inputs += fragments[package]
    arguments.add("--options", options)
    arguments.add("--blob", blob)
    arguments.add("--out", out)
    step(ctx, tool, "layer", arguments, inputs, [out, blob], "Joining the layer %s" % layer["name"])
    return [out, blob]

def _layers_impl(ctx):
    packages, tool = ctx.attr.packages[PackagesInfo], ctx.attr._tool[ToolInfo]
    if packages.archives and not packages.plan:
        fail("the lock has no plan of layers for %s: run 'hermetic base pin'" % packages.platform)
    chosen = {"compression": ctx.attr.compression, "link_scripts": ctx.attr.link_scripts}
    if ctx.attr.level >= 0:
        chosen["level"] = ctx.attr.level
    options = ctx.actions.declare_file("%s/options.json" % ctx.label.name)
    ctx.actions.write(options, json.encode(chosen))
    contents = [_look(ctx, tool, packages, package) for package in packages.archives]
    survey, lost = _survey(ctx, tool, packages, contents)
    fragments = {
        package: _fragment(ctx, tool, packages, package, lost[package], options)
        for package in packages.archives
    }
    layers = [
        _layer(ctx, tool, number, layer, fragments, options)
        for number, layer in enumerate(packages.plan)
    ]
    return [
        LayersInfo(packages = packages, layers = layers, survey = survey, options = chosen),
        DefaultInfo(files = depset([blob for _, blob in layers])),
    ]

hermetic_layers = rule(
    implementation = _layers_impl,
    attrs = {
        "packages": attr.label(mandatory = True, providers = [PackagesInfo], doc = "As @NAME//:packages."),
        "compression": attr.string(default = "gzip", values = ["gzip", "zstd", "none"]),
        "level": attr.int(default = -1, doc = "The compression's level; default: the fast one."),
        "link_scripts": attr.string(default = "refuse", values = ["refuse", "skip"]),
        "_tool": _TOOL,
    },
    doc = "The layers of an environment, as @NAME//:layers has them; for another compression, write one of your own.",
)

def _image_impl(ctx):
    layers, tool = ctx.attr.layers[LayersInfo], ctx.attr._tool[ToolInfo]
    packages = layers.packages
    out = ctx.actions.declare_directory(ctx.label.name)
    digest = ctx.actions.declare_file(ctx.label.name + ".digest")
    chosen = dict(layers.options, user = ctx.attr.user, labels = ctx.attr.labels)
    if ctx.attr.entrypoint:
        chosen["entrypoint"] = ctx.attr.entrypoint
    if ctx.attr.command:
        chosen["command"] = ctx.attr.command
    options = ctx.actions.declare_file(ctx.label.name + ".options.json")
    ctx.actions.write(options, json.encode(chosen))
    base = [file for file in packages.base if file.basename == "base.json"]
    if not base:
        fail("the lock has no base for %s: run 'hermetic base pin'" % packages.platform)
    arguments = ctx.actions.args()
    arguments.add("--part", packages.parts["all.json"])
    arguments.add("--survey", layers.survey)
    inputs = [packages.parts["all.json"], layers.survey, options] + packages.base
    for layer in layers.layers:
        arguments.add("--layer")
        arguments.add_all(layer)
        inputs += layer
    arguments.add("--base", base[0].dirname)
    arguments.add("--options", options)
    arguments.add("--out", out.path)
    step(ctx, tool, "image", arguments, inputs, [out, digest], "Assembling the image %s" % ctx.label)
    return [
        ImageInfo(layout = out, digest = digest),
        DefaultInfo(files = depset([out]), runfiles = ctx.runfiles([out])),
        OutputGroupInfo(digest = depset([digest])),
    ]

hermetic_image = rule(
    implementation = _image_impl,
    attrs = {
        "layers": attr.label(mandatory = True, providers = [LayersInfo], doc = "As @NAME//:layers."),
        "user": attr.string(doc = "Whom the image runs as; default: as the base says."),
        "labels": attr.string_dict(),
        "entrypoint": attr.string_list(),
        "command": attr.string_list(),
        "_tool": _TOOL,
    },
    doc = "An image as an OCI layout (a tree artifact); the output group 'digest' has its manifest's digest.",
)

_PUT = """\
#!/bin/sh
# {what} the image {label}.
cd "${{0}}.runfiles" 2>/dev/null && cd {workspace} || true
exec {program} {step} --layout {layout} --reference "${{1:-{reference}}}"
"""

def _put_impl(ctx, name, what):
    image, tool = ctx.attr.image[ImageInfo], ctx.attr._tool[ToolInfo]
    program = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(program, _PUT.format(
        what = what,
        label = ctx.attr.image.label,
        workspace = ctx.workspace_name,
        program = tool.program.short_path,
        step = name,
        layout = image.layout.short_path,
        reference = ctx.attr.reference,
    ), is_executable = True)
    runfiles = ctx.runfiles([image.layout, tool.program, tool.description])
    return [DefaultInfo(executable = program, runfiles = runfiles)]

def _push_impl(ctx):
    return _put_impl(ctx, "push", "Pushes")

def _load_impl(ctx):
    return _put_impl(ctx, "load", "Loads into the Docker Engine")

_PUT_ATTRS = {
    "image": attr.label(mandatory = True, providers = [ImageInfo]),
    "reference": attr.string(mandatory = True, doc = "The image's name; an argument of 'bazel run' takes its place."),
    "_tool": _TOOL,
}

hermetic_push = rule(
    implementation = _push_impl,
    attrs = _PUT_ATTRS,
    executable = True,
    doc = "'bazel run' puts an image into a registry; blobs that are there are not sent again.",
)

hermetic_load = rule(
    implementation = _load_impl,
    attrs = _PUT_ATTRS,
    executable = True,
    doc = "'bazel run' puts an image into the Docker Engine.",
)
