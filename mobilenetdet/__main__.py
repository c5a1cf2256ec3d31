"""`python -m mobilenetdet COMMAND ...`."""

from mobilenetdet.cli.main import main

if __name__ == "__main__":
    main()
