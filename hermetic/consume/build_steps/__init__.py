"""The steps of a build as programs from files to files, for build systems that plan, cache and run them themselves.

::

    archive            -> look     -> contents           one for each package
    all contents       -> survey   -> survey, lost/...   what follows for all packages together
    archive, lost      -> fragment -> fragment, member   one for each package; Python's own archives compile its modules
    fragments          -> layer    -> layer, blob        one for each layer of the lock's plan
    layers, base       -> image    -> OCI layout         the very digest that ``hermetic build`` gives
    archives           -> env      -> folder             the environment on disk
    base of a lock     -> base     -> folder             the pinned base, from its registry

A step reads the files that it is given and nothing else of the machine, checks archives against the lock, keeps what it
makes on the way in a store of its own that goes with it, and writes its outputs: the same bytes for the same inputs.
``tool``, ``addresses``, ``fetch``, ``base``, ``push`` and ``load`` look outside and are for loading and running.
``python -m hermetic.consume.build_steps STEP --help`` tells each step's arguments.
"""
