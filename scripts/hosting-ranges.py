#!/usr/bin/env python3
"""Writes the networks of data centres, for the edge's setting `hosting_ranges`.

    scripts/hosting-ranges.py asn-ipv4.csv asn-ipv6.csv > hosting-ranges.txt.new && mv hosting-ranges.txt.new hosting-ranges.txt

The files have a range of addresses in each line, as those of the ip-location-db packages: first address, last address, number of the autonomous
system, its name. Of these the ranges of the systems in third-party/hosting-asns.tsv (or of the file named with --asns) are written as
networks, one a line, neighbours merged. An edge that runs reads the file again when it changes.
"""

import argparse
import csv
import ipaddress
import os
import sys

ASNS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "third-party", "hosting-asns.tsv")


def main():
    """Reads the files that are named and writes to the standard output."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--asns", default=ASNS, help="file of autonomous systems, the number first (default: %(default)s)")
    parser.add_argument("ranges", nargs="+", help="file of ranges: first address, last address, number, name")
    arguments = parser.parse_args()
    try:
        asns = read_asns(arguments.asns)
        networks = [network for path in arguments.ranges for network in read_networks(path, asns)]
    except (OSError, ValueError) as error:
        sys.exit(f"hosting-ranges.py: {error}")
    if not networks:
        sys.exit("hosting-ranges.py: no range belongs to a system of the list; is the number in the third column?")
    print(f"# Networks of {len(asns)} autonomous systems of data centres, from {', '.join(map(os.path.basename, arguments.ranges))}.")
    for version in (4, 6):
        for network in ipaddress.collapse_addresses(n for n in networks if n.version == version):
            print(network)


def read_asns(path):
    """The numbers in the first column; `#` begins a comment."""
    with open(path, encoding="utf-8") as lines:
        return {line.split("\t")[0].strip() for line in lines if line.strip() and not line.startswith("#")}


def read_networks(path, asns):
    """The networks of these systems."""
    with open(path, encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.reader(file), start=1):
            try:
                first, last, asn = row[:3]
                if asn in asns:
                    yield from ipaddress.summarize_address_range(address(first), address(last))
            except (TypeError, ValueError) as error:
                raise ValueError(f"{path}, line {number}: {row} is no range of addresses: {error}") from error


def address(text):
    """An address as text."""
    return ipaddress.ip_address(text.strip())


if __name__ == "__main__":
    main()
