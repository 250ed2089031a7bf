"""The README's lines, pasted as they stand."""

import json
import re
import subprocess

import httpx
import pytest

from tests.support.eventually import eventually_blocking
from tests.support.stack import REPOSITORY, Stack

READMES = ("README.md", "docs/README.pt-BR.md")


def _shell_lines(readme: str) -> list[str]:
    text = (REPOSITORY / readme).read_text()
    return [
        line
        for block in re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
        for line in block.splitlines()
    ]


def _buy(link: str) -> None:
    """What a person does with a browser: open the link, choose the first package, pay by card."""
    with httpx.Client(timeout=30) as browser:
        page = browser.get(link)
        fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.text))
        (choice, *_) = re.findall(r'<button[^>]* name="choice" value="([^"]*)"', page.text)
        ordered = browser.post(page.url.copy_with(query=None), data={**fields, "choice": choice})
        assert ordered.status_code == 303, ordered.text
        paid = browser.post(f"{ordered.headers['location']}/pay", data={"method": "card", "outcome": "paid"})
        assert paid.status_code == 303, paid.text


@pytest.mark.parametrize("readme", READMES)
def test_every_line_can_be_pasted_in_order(stack: Stack, readme: str, account: str) -> None:
    lines = _shell_lines(readme)
    assert lines[0] == "make run"
    pasted = [line for line in lines if line not in {"make run", "make test"}]
    assert any(line.startswith("curl ") for line in pasted)
    for line in pasted:
        command = line.replace("127.0.0.1:8000", f"127.0.0.1:{stack.ports['gateway']}")
        command = command.replace("ACCOUNT=ana", f"ACCOUNT={account}").replace(": ana", f": {account}")
        completed = stack.shell(command)
        assert completed.returncode == 0, f"{line}\n{completed.stderr}"
        answer = json.loads(completed.stdout)
        assert "choices" in answer or "available" in answer, f"{line}\n{completed.stdout}"
    stack.wait_settled(account)
    refused = stack.shell(command).stdout  # "call twice"
    assert refused.find("insufficient_tokens") > 0
    expected = {"threshold-80", "threshold-90", "threshold-95", "tokens-exhausted"}
    eventually_blocking(lambda: set(stack.told(account)) == expected, 20, message="mails")
    _buy(json.loads(refused)["error"]["message"].rpartition(" ")[2])
    eventually_blocking(
        lambda: "choices" in json.loads(stack.shell(command).stdout), 20, message="the same call answered again"
    )
    eventually_blocking(lambda: "credits-purchased" in stack.told(account), 20, message="receipt")


def test_both_languages_show_the_same_lines() -> None:
    assert _shell_lines(READMES[0]) == _shell_lines(READMES[1])


@pytest.mark.parametrize("readme", READMES)
def test_linked_files_exist(readme: str) -> None:
    text = (REPOSITORY / readme).read_text()
    folder = (REPOSITORY / readme).parent
    linked = [target for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text) if not target.startswith("http")]
    assert linked
    missing = [target for target in linked if not (folder / target).exists()]
    assert missing == []


def test_make_alone_lists_every_target() -> None:
    listed = subprocess.run(["make", "-s"], cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=True)
    known = subprocess.run(
        ["make", "-pq"], cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False
    ).stdout
    declared = {name for names in re.findall(r"^\.PHONY: (.*)$", known, re.MULTILINE) for name in names.split()}
    shown = {line.split()[0] for line in listed.stdout.splitlines() if line.startswith("  ")}
    assert shown == declared
