# From a lock of hermetic's to a Nix derivation of its environment: every package a fixed-output fetch, by the lock's own
# digests, and one derivation that puts them together. It needs no nixpkgs.
#
#   import ./rules/nix {
#     lock = ./lockfiles/train.lock.json;
#     python = "${hermetic}/bin/python";     # a Python that has hermetic
#     channels."conda-forge" = "https://mirror.example.org/conda-forge";
#   }
#
# The environment's files say that it lies where Nix puts it, so its programs run as they are.
{ lock
, python
, platform ? builtins.getAttr builtins.currentSystem {
    x86_64-linux = "linux-64";
    aarch64-linux = "linux-aarch64";
    x86_64-darwin = "osx-64";
    aarch64-darwin = "osx-arm64";
  }
, name ? "environment"
, channels ? { }     # addresses of channels, by their names in the lock
, addresses ? { }    # more addresses, by package: what 'python -m hermetic.consume.build_steps addresses' writes
, linkScripts ? "refuse"
, system ? builtins.currentSystem
}:
let
  found = builtins.fromJSON (builtins.readFile lock);
  content = found.platforms.${platform} or (throw "the lock has no ${platform}");

  conda = content.conda or { };
  wheels = content.wheels or { };
  packages = conda // builtins.listToAttrs (map
    (wheel: { name = "pip:${wheel}"; value = wheels.${wheel}; })
    (builtins.attrNames wheels));

  # Names in the Nix store may hold fewer characters than names of files.
  word = text: builtins.replaceStrings [ "!" "~" "@" " " ":" ] [ "_" "_" "_" "_" "_" ] text;

  url = package: record:
    if addresses ? ${package} then builtins.head addresses.${package}
    else if record ? channel && channels ? ${record.channel}
    then "${channels.${record.channel}}/${record.subdir}/${record.file_name}"
    else if builtins.match "https?://.*" (record.url or "") != null then record.url
    else throw "where is ${package}? give its channel's address in 'channels', or its own in 'addresses'";

  fetched = builtins.mapAttrs
    (package: record: import <nix/fetchurl.nix> {
      url = url package record;
      sha256 = record.sha256;
      name = word record.file_name;
    })
    packages;

  part = builtins.toFile "part.json" (builtins.toJSON
    ((builtins.removeAttrs content [ "key" "content" ]) // { inherit platform; }));
in
if found.lock_version != 1
then throw "lock_version ${toString found.lock_version} is not known to this function: use a newer one"
else derivation {
  inherit name system python;
  builder = "/bin/sh"; # Nix tells a program its bare name, by which a Python in a venv cannot find itself
  args = [ "-c" "exec \"$python\" -m hermetic.consume.build_steps env \"$@\"" "env" ]
    ++ [ "--part" part "--prefix" (placeholder "out") ]
    ++ builtins.concatMap (package: [ "--archive" "${package}=${fetched.${package}}" ]) (builtins.attrNames fetched)
    ++ [ "--link-scripts" linkScripts "--out" (placeholder "out") ];
  PYTHONDONTWRITEBYTECODE = "1";
}
