"""`python -m kgraph.cli`."""

from kgraph.cli.main import main

main()
