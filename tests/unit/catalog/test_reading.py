"""The catalog file: what is sold and for how much; what it may not say is refused in one line that names the place."""

from hashlib import sha256
from pathlib import Path

import pytest
from catalog import CatalogError, CatalogFile, read_catalog
from catalog.reading import MAX_BYTES

SHIPPED = Path(__file__).parents[3] / "deploy" / "catalog.toml"
PLAN = 'version = "1"\n[plans.basic]\nmonthly_tokens = 1000\n'
PACKAGE = PLAN + "[packages.small]\ntokens = 500\n"


def read(folder: Path, text: str | bytes) -> CatalogFile:
    path = folder / "catalog.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_catalog(path)


def refusal(folder: Path, text: str | bytes) -> str:
    with pytest.raises(CatalogError) as refused:
        read(folder, text)
    told = str(refused.value)
    assert told.isprintable()  # one line
    assert told.startswith(f"{folder / 'catalog.toml'}: ")
    return told.removeprefix(f"{folder / 'catalog.toml'}: ")


def test_what_ships_is_sold_in_both_currencies_and_named_in_both_languages() -> None:
    shipped = read_catalog(SHIPPED)
    assert {name: plan.monthly_tokens for name, plan in shipped.plans.items() if plan.prices} == {
        "basic": 1_000_000,
        "pro": 1_500_000,
        "premium": 2_000_000,
        "enterprise": 4_000_000,
    }
    assert not shipped.plans["trial"].prices
    for offer in (*shipped.packages.values(), *(plan for plan in shipped.plans.values() if plan.prices)):
        assert offer.prices.keys() == {"brl", "usd"}
        assert offer.names.keys() == {"pt", "en"}
    assert [shipped.plans[name].prices["usd"] for name in ("basic", "premium", "enterprise")] == [2_490, 4_990, 9_990]


def test_any_edit_makes_another_version(tmp_path: Path) -> None:
    cheap, dear = (PACKAGE + f"prices = {{ brl = {price} }}\n" for price in (100, 101))
    assert read(tmp_path, cheap).version == f"1+{sha256(cheap.encode()).hexdigest()[:8]}"
    assert read(tmp_path, cheap).version != read(tmp_path, dear).version


def test_prices_names_and_prices_of_stripe_are_optional(tmp_path: Path) -> None:
    bare = read(tmp_path, PACKAGE)
    assert (bare.packages["small"].tokens, bare.packages["small"].prices) == (500, {})
    full = read(
        tmp_path,
        PACKAGE
        + 'prices = { brl = 7_490, usd = 1_490 }\nnames = { pt = "Pequeno" }\nstripe_prices = { brl = "price_1a" }\n',
    ).packages["small"]
    assert full.prices == {"brl": 7_490, "usd": 1_490}
    assert full.names == {"pt": "Pequeno"}
    assert full.stripe_prices == {"brl": "price_1a"}


def test_a_price_may_have_any_number_of_decimals(tmp_path: Path) -> None:
    prices = {"jpy": 1_491, "clp": 13_991, "kwd": 4_590, "isk": 204_900}
    told = ", ".join(f"{currency} = {amount}" for currency, amount in prices.items())
    assert read(tmp_path, f"{PACKAGE}prices = {{ {told} }}\n").packages["small"].prices == prices


def test_the_one_price_of_before_is_read_as_one(tmp_path: Path) -> None:
    former = read(tmp_path, PACKAGE + 'amount_minor = 1490\ncurrency = "usd"\n')
    assert former.packages["small"].prices == {"usd": 1_490}


def test_a_package_that_cost_nothing_before_is_not_given_away(tmp_path: Path) -> None:
    assert read(tmp_path, PACKAGE + 'amount_minor = 0\ncurrency = "usd"\n').packages["small"].prices == {}


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("prices = { brl = 0 }", "packages.small.prices.brl: "),
        ("prices = { brl = -1 }", "packages.small.prices.brl: "),
        ("prices = { brl = 100_000_000 }", "packages.small.prices.brl: "),
        ("prices = { brl = 74.9 }", "packages.small.prices.brl: "),
        ("prices = { brl = 74.0 }", "packages.small.prices.brl: "),
        ("prices = { brl = true }", "packages.small.prices.brl: "),
        ('prices = { brl = "7490" }', "packages.small.prices.brl: "),
        ("prices = { kwd = 4_595 }", "packages.small: the price in kwd is no multiple of 10: Stripe takes no other"),
        ("prices = { isk = 2_050 }", "packages.small: the price in isk is no multiple of 100"),
        ("prices = { BRL = 7_490 }", "packages.small.prices.BRL"),
        ("prices = { real = 7_490 }", "packages.small.prices.real"),
        ('prices = { "brl\\n" = 7_490 }', "'packages.small.prices.brl\\n"),
        ("price = { brl = 7_490 }", "packages.small.price: "),
        ('stripe_prices = { brl = "price_1" }', "packages.small: a Stripe price in brl needs a price in brl beside it"),
        ('prices = { brl = 1 }\nstripe_prices = { brl = "price 1" }', "packages.small.stripe_prices.brl: "),
        ('names = { fr = "Petit" }', "packages.small.names.fr"),
        ('names = { pt = "" }', "packages.small.names.pt: "),
        ('names = { pt = " Pequeno" }', "packages.small.names.pt: must be printable, without blanks at its ends"),
        ('names = { pt = "Peque\\u0000no" }', "packages.small.names.pt: must be printable"),
        ('names = { pt = "Peque\\u202Eno" }', "packages.small.names.pt: must be printable"),
        ("amount_minor = 1490", "packages.small: amount_minor and currency belong together"),
        ('currency = "usd"', "packages.small: amount_minor and currency belong together"),
        ('amount_minor = -1\ncurrency = "usd"', "packages.small.prices.usd: "),
        ('amount_minor = false\ncurrency = "usd"', "packages.small.prices.usd: "),
        ("amount_minor = 1\ncurrency = [1]", "packages.small: amount_minor and currency belong together"),
        ('amount_minor = 1\ncurrency = "usd"\nprices = { brl = 1 }', "packages.small: has prices, and amount_minor"),
    ],
)
def test_a_price_that_nobody_could_mean_is_refused_with_its_place(tmp_path: Path, lines: str, told: str) -> None:
    assert refusal(tmp_path, f"{PACKAGE}{lines}\n").startswith(told)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "version: "),
        ("version = 1", "version: "),
        ('version = "1"', "plans: "),
        ('version = "1"\n[plans]', "plans: "),
        ('version = "1"\nplans = 3', "plans: "),
        ('version = "1"\nplans.basic = 3', "plans.basic: "),
        (PLAN + "[plans.basic]", "Cannot declare"),
        (PLAN + '[plans."a\\nb"]\nmonthly_tokens = 1', "'plans.a\\nb"),
        (PLAN + '[plans." "]\nmonthly_tokens = 1', "plans. "),
        (PLAN + f"[plans.{'x' * 65}]\nmonthly_tokens = 1", "plans.xxx"),
        (PLAN + "packages = []", "plans.basic.packages: "),
        (PLAN + "[packages.small]\ntokens = 0", "packages.small.tokens: "),
        (PLAN + f"[packages.small]\ntokens = {2**53 + 1}", "packages.small.tokens: "),
        (PLAN + f"[packages.small]\ntokens = {'9' * 5_000}", "Exceeds the limit"),
        (b"\xff\xfe", "'utf-8' codec can't decode"),
        ("version = ", "Invalid value"),
        (f"version = {'[' * 100_000}", "nested too deeply"),
        (PLAN + "#" * MAX_BYTES, f"is larger than {MAX_BYTES} bytes"),
    ],
)
def test_a_file_that_is_none_is_refused_in_one_line(tmp_path: Path, text: str | bytes, told: str) -> None:
    assert refusal(tmp_path, text).startswith(told)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"none\.toml: No such file"):
        read_catalog(tmp_path / "none.toml")
    with pytest.raises(CatalogError, match="Is a directory"):
        read_catalog(tmp_path)
