"""Programs and tests that run with an environment's own Python."""

_LAUNCHER = """\
#!/bin/sh
# Runs {main} with the Python of {env}.
set -eu
if [ -n "${{RUNFILES_DIR:-}}" ]; then files=$RUNFILES_DIR
elif [ -d "$0.runfiles" ]; then files=$0.runfiles
else case $0 in *.runfiles/*) files=${{0%%.runfiles/*}}.runfiles ;; *) echo "no runfiles of $0" >&2; exit 1 ;; esac
fi
files=$(cd "$files" && pwd)
env=$files/{workspace}/{env_path}
export RUNFILES_DIR="$files" CONDA_PREFIX="$env" PATH="$env/bin:$PATH" PYTHONNOUSERSITE=1
export PYTHONPATH="{imports}"
unset PYTHONHOME VIRTUAL_ENV
{variables}exec "$env/bin/python" -B "$files/{workspace}/{main}" "$@"
"""

def _quoted(text):
    return "'" + text.replace("'", "'\\''") + "'"

def _impl(ctx):
    tree = ctx.files.env[0]
    main = ctx.file.main
    if not main:
        if len(ctx.files.srcs) != 1:
            fail("say which file is run: main = ...")
        main = ctx.files.srcs[0]
    launcher = ctx.actions.declare_file(ctx.label.name)
    roots = [ctx.workspace_name] + ["%s/%s" % (ctx.workspace_name, path) for path in ctx.attr.imports]
    ctx.actions.write(launcher, _LAUNCHER.format(
        main = main.short_path,
        env = ctx.attr.env.label,
        env_path = tree.short_path,
        workspace = ctx.workspace_name,
        imports = ":".join(["$files/" + root for root in roots]),
        variables = "".join(["export %s=%s\n" % (name, _quoted(value)) for name, value in ctx.attr.env_vars.items()]),
    ), is_executable = True)
    runfiles = ctx.runfiles([tree, main] + ctx.files.srcs + ctx.files.data)
    for target in ctx.attr.deps + ctx.attr.data:
        runfiles = runfiles.merge(target[DefaultInfo].default_runfiles)
        runfiles = runfiles.merge(ctx.runfiles(transitive_files = target[DefaultInfo].files))
    return [DefaultInfo(executable = launcher, runfiles = runfiles)]

_ATTRS = {
    "env": attr.label(mandatory = True, doc = "The environment, as @NAME//:env."),
    "srcs": attr.label_list(allow_files = [".py"]),
    "main": attr.label(allow_single_file = [".py"], doc = "The file that is run; default: the only one of srcs."),
    "data": attr.label_list(allow_files = True),
    "deps": attr.label_list(doc = "Libraries: their files, from the workspace's root."),
    "imports": attr.string_list(doc = "Folders, from the workspace's root, that modules are imported from too."),
    "env_vars": attr.string_dict(doc = "Environment variables of the program."),
}

hermetic_py_binary = rule(
    implementation = _impl,
    attrs = _ATTRS,
    executable = True,
    doc = "A program that runs with the Python and the packages of an environment, and with nothing of the machine's.",
)

hermetic_py_test = rule(
    implementation = _impl,
    attrs = _ATTRS,
    test = True,
    doc = "A test that runs as hermetic_py_binary does.",
)
