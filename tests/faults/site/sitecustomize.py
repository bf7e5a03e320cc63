"""Installs the seams in dbt, the child process of a refresh. Python imports a module of this name when it starts."""

from tests.faults import seams

seams.install()
