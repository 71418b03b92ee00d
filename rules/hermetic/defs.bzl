"""For BUILD files: environments, images, programs and locks. See docs/bazel.md."""

load("//hermetic/private:environment.bzl", _hermetic_env = "hermetic_env")
load(
    "//hermetic/private:image.bzl",
    _hermetic_image = "hermetic_image",
    _hermetic_layers = "hermetic_layers",
    _hermetic_load = "hermetic_load",
    _hermetic_push = "hermetic_push",
)
load("//hermetic/private:locking.bzl", _hermetic_lock = "hermetic_lock", _hermetic_lock_test = "hermetic_lock_test")
load(
    "//hermetic/private:python.bzl",
    _hermetic_py_binary = "hermetic_py_binary",
    _hermetic_py_test = "hermetic_py_test",
)

hermetic_env = _hermetic_env
hermetic_layers = _hermetic_layers
hermetic_image = _hermetic_image
hermetic_push = _hermetic_push
hermetic_load = _hermetic_load
hermetic_py_binary = _hermetic_py_binary
hermetic_py_test = _hermetic_py_test
hermetic_lock = _hermetic_lock
hermetic_lock_test = _hermetic_lock_test
