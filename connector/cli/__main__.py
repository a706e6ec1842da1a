"""`python -m connector.cli` is `kontor`, for places where the script is not on the path."""

from connector.cli import main

main()
