#!/usr/bin/env python3
"""Every case of the golden data must have a test that is called after it.

test_case_list.py CASES_JSON PROGRAM...
"""
import json
import re
import subprocess
import sys


def plain(name):
    return re.sub("[^a-z0-9]", "", name.lower())


def main():
    cases, programs = sys.argv[1], sys.argv[2:]
    tests = []
    for program in programs:
        suite = ""
        listing = subprocess.run([program, "--gtest_list_tests"], check=True, text=True,
                                 stdout=subprocess.PIPE).stdout
        for line in listing.splitlines():
            if line.startswith(" "):
                tests.append(plain(suite + line.split("#")[0]))
            else:
                suite = line
    ids = [case["id"] for case in json.load(open(cases))["cases"]]
    missing = [name for name in ids if not any(plain(name) in test for test in tests)]
    print(len(ids), "cases,", len(tests), "tests; without a test:", missing or "none")
    return 1 if missing or not ids else 0


if __name__ == "__main__":
    sys.exit(main())
