"""Labelled personal data in the form of presidio-research, from values and carriers that no detector was written on.

Values come from Faker's generators for twenty locales (pip install faker==40.54.0), carriers are files and messages
as they occur. Usage: python3 personal.py SEED > data.json; then `cargo xtask eval personal presidio data.json`.
"""

import json
import random
import sys

from faker import Faker

LOCALES = (
    "en_US en_GB en_CA en_AU de_DE fr_FR es_ES it_IT nl_NL pl_PL pt_BR sv_SE fi_FI da_DK no_NO cs_CZ tr_TR en_IN ja_JP ro_RO"
).split()

CARRIERS = [
    'user,{0},{1}\n',
    '{{"id": 1, "first": "{0}", "second": "{1}"}}',
    "INFO request from user: {0} ({1}) took 12 ms",
    "<tr><td>{0}</td><td>{1}</td></tr>",
    "Please use {0}, and if that fails {1}.",
    "first: {0}\nsecond: {1}\n",
    "key={0}; other={1}",
]
# Numbers that nothing but a word tells apart from others stand beside it, as they do in forms.
NAMED = {
    "PHONE_NUMBER": ["phone: {0}", '"mobile": "{0}"', "Tel. {0}", "call me at {0} please", "fax={0}"],
    "US_SSN": ["SSN: {0}", "{0}", '"ssn": "{0}"'],
    "CREDIT_CARD": ["card {0}", '"card_number": "{0}"', "paid with {0}, a credit card"],
}


def values(fake, us):
    return {
        "PHONE_NUMBER": fake.phone_number,
        "EMAIL_ADDRESS": fake.ascii_free_email,
        "IBAN_CODE": fake.iban,
        "CREDIT_CARD": fake.credit_card_number,
        "IP_ADDRESS": lambda: fake.ipv4_public() if random.random() < 0.7 else fake.ipv6(),
        "US_SSN": us.ssn,
        "mac-address": fake.mac_address,
    }


def sample(number, generators):
    spans, text = [], ""
    pair = random.sample(sorted(generators), 2)
    parts = random.choice(CARRIERS)
    pieces = []
    for kind in pair:
        value = generators[kind]()
        around = random.choice(NAMED.get(kind, ["{0}"]))
        pieces.append((kind, value, around))
    for index, chunk in enumerate(parts.replace("{{", "\0").replace("}}", "\1").split("{")):
        if index:
            kind, value, around = pieces[int(chunk[0])]
            left, right = around.split("{0}")
            text += left
            spans.append({"entity_type": kind, "start_position": len(text), "end_position": len(text) + len(value)})
            text += value + right
            chunk = chunk[2:]
        text += chunk.replace("\0", "{").replace("\1", "}")
    return {"full_text": text, "spans": spans, "template_id": number}


def main():
    seed = int(sys.argv[1])
    random.seed(seed)
    samples = []
    for locale in LOCALES:
        fake, us = Faker(locale), Faker("en_US")
        fake.seed_instance(seed)
        us.seed_instance(seed)
        generators = values(fake, us)
        samples += [sample(number, generators) for number in range(100)]
    json.dump(samples, sys.stdout)


main()
