"""Reading a lock (docs/lock-format.md): pure functions from its JSON to what repositories and rules need."""

LOCK_VERSION = 1

def read_lock(text, label):
    """Gives a lock's values; fails for a version that is not known here."""
    lock = json.decode(text)
    if lock.get("lock_version") != LOCK_VERSION:
        fail("%s: lock_version %s is not known to these rules: use newer ones" % (label, lock.get("lock_version")))
    return lock

def packages_of(platform):
    """Gives a platform's packages: what a layer plan calls each, and its record. A wheel's name begins with pip:."""
    found = {name: record for name, record in platform.get("conda", {}).items()}
    found.update({"pip:" + name: record for name, record in platform.get("wheels", {}).items()})
    return found

def python_closure(platform):
    """Gives the conda packages that the platform's Python needs to run: those that compile the modules of others."""
    conda = platform.get("conda", {})
    if "python" not in conda:
        return []
    needed, level = {}, ["python"]
    for _ in range(len(conda) + 1):  # Starlark has no while: no chain is longer
        further = []
        for name in level:
            if name in needed or name not in conda or conda[name].get("noarch") == "python":
                continue
            needed[name] = True
            further += [match.split(" ")[0] for match in conda[name].get("depends", [])]
        level = further
    return sorted(needed.keys())

def part(name, platform, packages = None, image = False):
    """Gives a part of a platform's lock as the steps read it: the named packages, or all with the rest of it."""
    if packages == None:
        found = {key: value for key, value in platform.items() if key not in ("key", "content")}
        return json.encode(dict(found, platform = name))
    wanted = {
        "platform": name,
        "conda": {key: value for key, value in platform.get("conda", {}).items() if key in packages},
        "wheels": {key: value for key, value in platform.get("wheels", {}).items() if "pip:" + key in packages},
    }
    if image:
        wanted["image"] = {"base": platform["image"]["base"]}
    return json.encode(wanted)

def repository_name(hub, platform, package):
    """Gives the name of a package's repository: letters, digits, - _ and . only."""
    return "%s__%s__%s" % (hub, platform, package.replace(":", "_").replace("+", "p"))
