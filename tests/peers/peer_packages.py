"""packages.need() for programs that tell a missing package by an ImportError."""
import packages


def missing(reason):
    raise ImportError(reason)


def need(*requirements):
    packages.skip = missing
    packages.need(*requirements)
