"""The command line: parse, call, print. Importing it must stay cheap: every command imports what it needs itself."""
