"""The tool as a target."""

ToolInfo = provider(
    doc = "The hermetic that actions run.",
    fields = {
        "program": "File: runs a step.",
        "command": "File: the command line.",
        "description": "File: what it is; an input of every action.",
    },
)

def _impl(ctx):
    files = [ctx.file.program, ctx.file.command, ctx.file.description]
    return [
        ToolInfo(program = ctx.file.program, command = ctx.file.command, description = ctx.file.description),
        DefaultInfo(files = depset(files), runfiles = ctx.runfiles(files)),
    ]

hermetic_tool_files = rule(
    implementation = _impl,
    attrs = {
        "program": attr.label(allow_single_file = True, mandatory = True),
        "command": attr.label(allow_single_file = True, mandatory = True),
        "description": attr.label(allow_single_file = True, mandatory = True),
    },
)

def step(ctx, tool, name, arguments, inputs, outputs, message):
    """Declares the action of one step."""
    ctx.actions.run(
        executable = tool.program,
        arguments = [name, arguments],
        inputs = depset([tool.description], transitive = [depset(inputs)]),
        outputs = outputs,
        mnemonic = "Hermetic" + name.capitalize(),
        progress_message = message,
        execution_requirements = {"block-network": "1"},
    )
