"""A real host as data: what is asked of it, its answers read without trust, and the scenario that they make.

::

    steps → (the host) → archive → Collection → RealHost → scenario folder
                                                        → findings of drift

Pure: the host is asked by ``netlab collect``, or by the shell script that it prints.
"""
