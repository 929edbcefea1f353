"""Makes the location databases beside this file; their bytes depend on nothing else.

    python3 -m venv /tmp/v && /tmp/v/bin/pip install mmdb-writer==0.2.7 && /tmp/v/bin/python make_databases.py

`flat-*` have the records of DB-IP's files in the ip-location-db packages, one for each kind of address; `nested` has those of MaxMind's
GeoLite2-City. `flat-ipv4-newer` is the one that takes the place of `flat-ipv4`. Networks are some of the real ones, and those that RFC 5737
and RFC 3849 keep for documentation.
"""

import os
from unittest import mock

import netaddr
from mmdb_writer import MMDBWriter

HERE = os.path.dirname(os.path.abspath(__file__))

# 2026-06-05T00:00:00Z and a month later.
BUILT, BUILT_NEWER = 1780617600, 1783209600


def flat(country, region, city):
    """DB-IP's record; it has more fields than these."""
    return {
        "city": city, "country_code": country, "latitude": 1.5, "longitude": -2.5, "postcode": "", "state1": region,
        "state2": "", "timezone": "",
    }


def nested(country, regions, city):
    """MaxMind's record; what it does not know is not there."""
    record = {
        "continent": {"code": "EU", "names": {"en": "Europe"}},
        "country": {"geoname_id": 1, "iso_code": country, "names": {"de": "Land", "en": "Country"}},
    }
    if regions:
        record["subdivisions"] = [{"iso_code": "X", "names": {"en": name}} for name in regions]
    if city:
        record["city"] = {"geoname_id": 2, "names": {"de": "Stadt", "en": city}}
    return record


def write(name, database_type, built, records, **options):
    """Writes one file."""
    writer = MMDBWriter(database_type=database_type, languages=["en"], description="for tests", **options)
    for networks, record in records.items():
        writer.insert_network(netaddr.IPSet(networks.split()), record)
    with mock.patch("time.time", return_value=built):
        writer.to_db_file(os.path.join(HERE, name))


write("flat-ipv4.mmdb", "city ipv4", BUILT, {
    "81.2.69.0/24": flat("GB", "England", "London"),
    "177.37.1.0/24": flat("BR", "Tocantins", "Araguaina (Loteamento Sao Luiz)"),
    "192.0.2.0/25": flat("de", "", ""),
    # 81 bytes: the 64th is in the middle of a letter.
    "192.0.2.128/25": flat("SE", "a" + "ö" * 40, "Umeå"),
    "198.51.100.0/24": flat("Germany", "Bavaria", "Falkenstein"),
}, ip_version=4)
write("flat-ipv4-newer.mmdb", "city ipv4", BUILT_NEWER, {
    "81.2.69.0/24": flat("GB", "England", "Islington"),
}, ip_version=4)
write("flat-ipv6.mmdb", "city ipv6", BUILT, {
    "2001:db8:1::/48": flat("DE", "Land Berlin", "Berlin"),
}, ip_version=6)
write("nested.mmdb", "GeoLite2-City", BUILT, {
    "81.2.69.0/24": nested("GB", ["England", "Greater London"], "London"),
    "192.0.2.0/24": nested("DE", [], None),
    "2001:db8:1::/48": nested("DE", ["Land Berlin"], "Berlin"),
}, ip_version=6, ipv4_compatible=True)
