"""Locks as targets: one that makes them anew in the source tree, and a test that they fit."""

load(":tool_rule.bzl", "ToolInfo")

_LOCK = """\
#!/bin/sh
# Locks the environment {environment} anew, in the source tree.
here=$(pwd)
cd "${{BUILD_WORKSPACE_DIRECTORY:?run it with 'bazel run'}}/{package}" || exit 2
exec "$here/{program}" lock {environment} "$@"
"""

# The lock is looked at in a copy, because runfiles are links into the source tree.
_CHECK = """\
#!/bin/sh
set -eu
work=${{TEST_TMPDIR:-$(mktemp -d)}}/project
mkdir -p "$work"
for file in {files}; do
  name=${{file#"{package}"}}
  mkdir -p "$work/$(dirname "$name")"
  cp -L "$file" "$work/$name"
done
exec {program} lock --check --offline -C "$work" {environment}
"""

def _lock_impl(ctx):
    tool = ctx.attr._tool[ToolInfo]
    program = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(program, _LOCK.format(
        environment = ctx.attr.environment,
        package = ctx.label.package,
        program = tool.command.short_path,
    ), is_executable = True)
    return [DefaultInfo(executable = program, runfiles = ctx.runfiles([tool.command, tool.description]))]

hermetic_lock = rule(
    implementation = _lock_impl,
    attrs = {
        "environment": attr.string(doc = "Its name in hermetic.toml; default: all of them."),
        "_tool": attr.label(default = "@hermetic_tool//:tool", providers = [ToolInfo]),
    },
    executable = True,
    doc = "'bazel run' makes the lock of this package's hermetic.toml anew; further arguments go to 'hermetic lock'.",
)

def _lock_test_impl(ctx):
    tool = ctx.attr._tool[ToolInfo]
    program = ctx.actions.declare_file(ctx.label.name)
    package = ctx.label.package + "/" if ctx.label.package else ""
    ctx.actions.write(program, _CHECK.format(
        files = " ".join(["'%s'" % file.short_path for file in ctx.files.srcs]),
        package = package,
        program = tool.command.short_path,
        environment = ctx.attr.environment,
    ), is_executable = True)
    runfiles = ctx.runfiles(ctx.files.srcs + [tool.command, tool.description])
    return [DefaultInfo(executable = program, runfiles = runfiles)]

hermetic_lock_test = rule(
    implementation = _lock_test_impl,
    attrs = {
        "srcs": attr.label_list(
            allow_files = True,
            mandatory = True,
            doc = "hermetic.toml, the spec files that it names, and the lock.",
        ),
        "environment": attr.string(doc = "Its name in hermetic.toml; default: all of them."),
        "_tool": attr.label(default = "@hermetic_tool//:tool", providers = [ToolInfo]),
    },
    test = True,
    doc = "Fails when a lock does not fit what is declared; asks no network.",
)
