"""The mailbox's page: the list on the left, one mail on the right."""

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any, Final

from local_run.mailbox.store import Summary

MAX_LISTED: Final = 200
_SANDBOX: Final = "allow-popups allow-popups-to-escape-sandbox"
_TEMPLATE: Final = Path(__file__).with_name("page.html").read_text(encoding="utf-8")


def render_page(summaries: Sequence[Summary], message: dict[str, Any] | None) -> str:
    """The page as HTML; every text of a mail is escaped."""
    opened = message["id"] if message else ""
    items = "\n".join(_list_item(item, opened=item.id == opened) for item in summaries[:MAX_LISTED])
    parts = {
        "count": _count(len(summaries)),
        "newest": escape(summaries[0].id if summaries else ""),
        "items": items or '<li class="empty">Nothing here yet. Mails appear as they come.</li>',
        "reading": _reading_pane(message) if message else '<p class="empty">No mail is open.</p>',
        "title": escape(message["subject"] if message else "Mailbox"),
    }
    page = _TEMPLATE
    for name, value in parts.items():
        page = page.replace(f"<!--{name}-->", value, 1)
    return page


def _count(number: int) -> str:
    return "1 mail" if number == 1 else f"{number} mails"


def _list_item(item: Summary, *, opened: bool) -> str:
    received = datetime.fromtimestamp(item.received_at, UTC).astimezone()
    kind = f'<span class="kind {_tone(item.kind)}">{escape(item.kind)}</span>' if item.kind else ""
    marker = ' class="open" aria-current="true"' if opened else ""
    return (
        f'<li{marker}><a href="/messages/{escape(item.id)}">'
        f'<span class="row"><span class="to">{escape(item.to or "(no recipient)")}</span>'
        f'<time title="{received:%Y-%m-%d %H:%M:%S}">{received:%d/%m %H:%M}</time></span>'
        f'<span class="subject">{escape(item.subject or "(no subject)")}</span>{kind}</a></li>'
    )


def _tone(kind: str) -> str:
    if kind.endswith(("100", "exhausted")):
        return "alarm"
    if kind.startswith("threshold") or kind.endswith(("failed", "revoked", "paused")):
        return "warning"
    return "calm"


def _reading_pane(message: dict[str, Any]) -> str:
    identifier = escape(message["id"])
    headers = "\n".join(
        f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in message["headers"]
    )
    frame = f'<iframe title="HTML part" sandbox="{_SANDBOX}" src="/messages/{identifier}/html"></iframe>'
    text = f"<pre>{escape(message['text'] or '(no text part)')}</pre>"
    html_state, text_state = ("checked", "") if message["html"] else ("disabled", "checked")
    return f"""
<header class="mail">
  <h1>{escape(message["subject"] or "(no subject)")}</h1>
  <dl><dt>From</dt><dd>{escape(message["sender"])}</dd><dt>To</dt><dd>{escape(message["to"])}</dd></dl>
</header>
<div class="tabs">
  <input type="radio" name="tab" id="tab-html" {html_state}><label for="tab-html">HTML</label>
  <input type="radio" name="tab" id="tab-text" {text_state}><label for="tab-text">Text</label>
  <input type="radio" name="tab" id="tab-headers"><label for="tab-headers">Headers</label>
  <a class="raw" href="/messages/{identifier}/raw">Source</a>
  <section class="pane html">{frame if message["html"] else ""}</section>
  <section class="pane text">{text}</section>
  <section class="pane headers"><table>{headers}</table></section>
</div>"""
