"""The hermetic that actions run: an interpreter that has it, and what it is."""

_BUILD = """\
load("@rules_hermetic//hermetic/private:tool_rule.bzl", "hermetic_tool_files")

hermetic_tool_files(
    name = "tool",
    description = "tool.json",
    program = "steps.sh",
    command = "hermetic.sh",
    visibility = ["//visibility:public"],
)
"""

# The path of the interpreter stands in a file beside the program, which is no input: machines that have hermetic in
# different places share a remote cache. What it is, tool.json, is an input.
_PROGRAM = """\
#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
read -r python < "$here/python.path"
export PYTHONDONTWRITEBYTECODE=1 PYTHONNOUSERSITE=1
exec "$python" -m %s "$@"
"""

def _find_python(ctx):
    """Finds an interpreter that has hermetic: the attribute, HERMETIC_PYTHON, or that of the program on the PATH."""
    named = ctx.attr.python or ctx.os.environ.get("HERMETIC_PYTHON", "")
    if named:
        return named
    program = ctx.which("hermetic")
    if program:
        first = ctx.read(program).split("\n")[0]
        if first.startswith("#!/"):
            return first[2:].split(" ")[0]
    fail("no hermetic: install it, or name the Python that has it in hermetic_tool(python = ...) or HERMETIC_PYTHON")

def _tool_impl(ctx):
    python = _find_python(ctx)
    found = ctx.execute([python, "-m", "hermetic.consume.build_steps", "tool", "--out", "tool.json"])
    if found.return_code:
        fail("%s has no hermetic that these rules can use:\n%s" % (python, found.stderr))
    ctx.file("python.path", python + "\n", executable = False)
    ctx.file("steps.sh", _PROGRAM % "hermetic.consume.build_steps", executable = True)
    ctx.file("hermetic.sh", _PROGRAM % "hermetic", executable = True)
    ctx.file("BUILD.bazel", _BUILD, executable = False)

hermetic_tool = repository_rule(
    implementation = _tool_impl,
    attrs = {
        "python": attr.string(doc = "The interpreter that has hermetic; default: HERMETIC_PYTHON, else from the PATH."),
    },
    environ = ["HERMETIC_PYTHON", "PATH"],
    local = True,  # it describes what is installed on this machine: looked at again whenever Bazel starts
    doc = "Finds the hermetic that actions run.",
)
