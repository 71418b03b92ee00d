"""One package as a repository: its archive, downloaded by Bazel and checked against the lock."""

_BUILD = """\
exports_files(["archive", "record.json"], visibility = ["//visibility:public"])
"""

def _address(base, record):
    return "%s/%s/%s" % (base.rstrip("/"), record["subdir"], record["file_name"])

def _addresses(ctx, record):
    """Gives where the archive is now: the attribute's channels and indexes first, else what hermetic knows."""
    conda = "channel" in record
    if conda and record["channel"] in ctx.attr.channels:
        return [_address(ctx.attr.channels[record["channel"]], record)]
    url = record.get("url", "")
    if url.startswith("https://") or url.startswith("http://"):
        return [url]
    return None

def _by_hermetic(ctx, step, out):
    python = ctx.read(ctx.path(Label("@hermetic_tool//:python.path"))).strip()
    command = [python, "-m", "hermetic.consume.build_steps", step, "--part", "part.json", "--out", out]
    if ctx.attr.project:
        command += ["--project", str(ctx.path(ctx.attr.project).dirname)]
    done = ctx.execute(command, timeout = 1800)
    if done.return_code:
        fail("%s: %s" % (ctx.attr.package, done.stderr.strip()))

def _package_impl(ctx):
    part = json.decode(ctx.attr.part)
    records = [record for kind in ("conda", "wheels") for record in part.get(kind, {}).values()]
    record = records[0]
    ctx.file("part.json", ctx.attr.part, executable = False)
    ctx.file("record.json", json.encode(record), executable = False)
    ctx.file("BUILD.bazel", _BUILD, executable = False)
    urls = _addresses(ctx, record)
    private = record.get("url", "").startswith("hermetic://") or record.get("origin")
    if urls == None and not private:
        _by_hermetic(ctx, "addresses", "addresses.json")
        urls = json.decode(ctx.read("addresses.json"))[ctx.attr.package]
    if private:  # a signature is for hermetic's eyes only, and what was built from source is built again
        _by_hermetic(ctx, "fetch", "archive")
    else:
        ctx.download(url = urls, output = "archive", sha256 = record["sha256"])

hermetic_package = repository_rule(
    implementation = _package_impl,
    attrs = {
        "package": attr.string(mandatory = True, doc = "Its name in a plan of layers."),
        "part": attr.string(mandatory = True, doc = "The part of the lock that is this package, as JSON."),
        "channels": attr.string_dict(doc = "Addresses of channels, by their names in the lock."),
        "project": attr.label(doc = "The project's hermetic.toml, which may name channels."),
    },
    environ = ["HERMETIC_CHANNELS", "HERMETIC_INDEXES", "HERMETIC_CONFIG"],
    doc = "Fetches one locked package, by Bazel's downloader, and checks it against the lock.",
)

def _base_impl(ctx):
    ctx.file("part.json", ctx.attr.part, executable = False)
    python = ctx.read(ctx.path(Label("@hermetic_tool//:python.path"))).strip()
    done = ctx.execute(
        [python, "-m", "hermetic.consume.build_steps", "base", "--part", "part.json", "--out", "base"],
        timeout = 1800,
    )
    if done.return_code:
        fail("the base of %s: %s" % (ctx.name, done.stderr.strip()))
    ctx.file("BUILD.bazel", """\
filegroup(name = "base", srcs = glob(["base/**"]), visibility = ["//visibility:public"])
""", executable = False)

hermetic_base = repository_rule(
    implementation = _base_impl,
    attrs = {"part": attr.string(mandatory = True, doc = "The part of the lock that pins the base, as JSON.")},
    environ = ["HERMETIC_REGISTRIES", "HERMETIC_CONFIG", "DOCKER_CONFIG"],
    doc = "Fetches the image that a lock pins as its base, and checks it against the lock.",
)
