"""Turns what `pip config list` prints into a file of settings, for a pip elsewhere."""

import ast
import configparser
import sys

settings = configparser.RawConfigParser()
for line in sys.stdin:
    name, _, value = line.partition("=")
    section, _, option = name.rpartition(".")
    # Of several sources the last one that is listed decides, and the environment is not listed last.
    is_decided = section == "global" and settings.has_option(section, option)
    if not is_decided:
        settings.read_dict({"global" if section == ":env:" else section: {option: ast.literal_eval(value)}})
settings.write(sys.stdout)
