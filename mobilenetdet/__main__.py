"""`python -m mobilenetdet COMMAND` is the console command `mobilenetdet COMMAND`."""

from mobilenetdet.cli.main import main

if __name__ == "__main__":
    main()
