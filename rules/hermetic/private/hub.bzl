"""An environment as a repository: parts of its lock, and targets that put its packages together."""

load(":lock.bzl", "packages_of", "part", "python_closure", "read_lock", "repository_name")

_LOAD = """\
load("@rules_hermetic//hermetic/private:environment.bzl", "hermetic_env", "hermetic_packages")
load("@rules_hermetic//hermetic/private:image.bzl", "hermetic_layers")

package(default_visibility = ["//visibility:public"])
"""

_PLATFORM = """
hermetic_packages(
    name = "{platform}",
    archives = {archives},
    closure = {closure},
    base = {base},
    parts = glob(["parts/{platform}/*.json"]),
    plan = {plan},
    platform = "{platform}",
)
"""

_TARGETS = """
alias(
    name = "packages",
    actual = select({choice}, no_match_error = "the lock of {name} has {platforms}, and the target platform is another"),
)

hermetic_env(name = "env", packages = ":packages")

hermetic_layers(name = "layers", packages = ":packages")
"""

_CONSTRAINTS = {
    "linux-64": ["linux", "x86_64"],
    "linux-aarch64": ["linux", "aarch64"],
    "linux-ppc64le": ["linux", "ppc"],
    "linux-s390x": ["linux", "s390x"],
    "osx-64": ["macos", "x86_64"],
    "osx-arm64": ["macos", "aarch64"],
    "win-64": ["windows", "x86_64"],
    "win-arm64": ["windows", "aarch64"],
}

def file_word(package):
    """Gives a package's name as a part of a file's."""
    return package.replace(":", "_")

def _setting(platform):
    system, cpu = _CONSTRAINTS[platform]
    return 'config_setting(name = "is_%s", constraint_values = ["@platforms//os:%s", "@platforms//cpu:%s"])\n' % (
        platform,
        system,
        cpu,
    )

def write_hub(ctx, name, text, label):
    """Writes the hub's files: for every platform a part of the lock for each step of each package."""
    lock = read_lock(text, label)
    build, choice = _LOAD, {}
    for platform, content in sorted(lock["platforms"].items()):
        packages, closure = packages_of(content), python_closure(content)
        folder = "parts/%s/" % platform
        ctx.file(folder + "all.json", part(platform, content), executable = False)
        for package in packages:
            word = folder + file_word(package)
            ctx.file(word + ".look.json", part(platform, content, [package, "python"]), executable = False)
            needed = closure + [package]
            ctx.file(word + ".fragment.json", part(platform, content, needed), executable = False)
        archives = {
            "@%s//:archive" % repository_name(name, platform, package): package
            for package in packages
        }
        base = "@%s//:base" % base_name(name, platform) if has_base(content) else None
        build += _PLATFORM.format(
            platform = platform,
            archives = archives,
            closure = closure,
            base = repr(base),
            plan = repr(json.encode(content.get("image", {}).get("layers", []))),
        )
        build += _setting(platform)
        choice[":is_" + platform] = ":" + platform
    build += _TARGETS.format(choice = choice, name = name, platforms = ", ".join(sorted(lock["platforms"])))
    ctx.file("BUILD.bazel", build, executable = False)
    return lock

def base_name(name, platform):
    """Gives the name of the repository of a platform's base."""
    return "%s__%s__base" % (name, platform)

def has_base(content):
    """Tells whether a platform of a lock has an image, and with it a base."""
    return "image" in content

def declarations(name, lock):
    """Gives what has to be fetched: (kind, repository's name, attributes)."""
    found = []
    for platform, content in sorted(lock["platforms"].items()):
        for package in packages_of(content):
            values = {"package": package, "part": part(platform, content, [package])}
            found.append(("package", repository_name(name, platform, package), values))
        if has_base(content):
            values = {"part": part(platform, content, [], image = True)}
            found.append(("base", base_name(name, platform), values))
    return found
