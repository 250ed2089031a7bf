"""Providers' exports are read as they are given, whatever their columns' order, and refused where they were mangled."""

import json
import re
from datetime import date
from pathlib import Path

import pytest
from ledger.reconciliation.provider_files import Export, ExportError, Provided, plain_model, read_export
from ledger.store.reconciliation.rows import Tokens

DAY = date(2026, 11, 25)
OPENAI = (
    "start_time,end_time,start_time_iso,end_time_iso,project_id,num_model_requests,user_id,api_key_id,model,batch,"
    "input_tokens,output_tokens,input_cached_tokens,input_uncached_tokens\n"
    "1795564800,1795564860,2026-11-25T00:00:00+00:00,2026-11-25T00:01:00+00:00,proj_1,3.0,,key_1,gpt-4o-2024-08-06,"
    "False,7162,300,1280,5882\n"
    "1795651140,1795651200,2026-11-25T23:59:00+00:00,2026-11-26T00:00:00+00:00,proj_1,1.0,,key_2,gpt-4o-2024-08-06,"
    "False,38,20,0,38\n"
    "1795651200,1795651260,2026-11-26T00:00:00+00:00,2026-11-26T00:01:00+00:00,proj_1,,,,o3,,,,,\n"
)
ANTHROPIC = (
    "usage_date_utc,model_version,api_key,workspace,usage_type,context_window,usage_input_tokens_no_cache,"
    "usage_input_tokens_cache_write_5m,usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,"
    "usage_output_tokens,web_search_count,inference_geo,speed\n"
    "2026-11-25,claude-sonnet-4-5-20250929,key,Default,standard,≤ 200k,1000,20,3,500,70,0,,\n"
)


def read(tmp_path: Path, text: str | bytes) -> Export:
    path = tmp_path / "usage export.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_export(path)


def openai_answer(**fields: object) -> dict[str, object]:
    result = {"object": "organization.usage.completions.result", "input_tokens": 7200, "output_tokens": 320}
    result |= {"input_cached_tokens": 1280, "num_model_requests": 4, "model": "gpt-4o-2024-08-06"}
    bucket = {"object": "bucket", "start_time": 1795564800, "end_time": 1795651200, "results": [result]}
    return {"object": "page", "data": [bucket], "has_more": False, "next_page": None} | fields


def anthropic_answer() -> dict[str, object]:
    result = {
        "uncached_input_tokens": 1000,
        "cache_creation": {"ephemeral_1h_input_tokens": 3, "ephemeral_5m_input_tokens": 20},
        "cache_read_input_tokens": 500,
        "output_tokens": 70,
        "server_tool_use": {"web_search_requests": 0},
        "model": "claude-sonnet-4-5-20250929",
        "service_tier": "standard",
    }
    bucket = {"starting_at": "2026-11-25T00:00:00Z", "ending_at": "2026-11-26T00:00:00Z", "results": [result]}
    return {"data": [bucket], "has_more": False, "next_page": None}


OPENAI_SUMS = Provided(4, Tokens(7200, 320, 1280))
ANTHROPIC_SUMS = Provided(0, Tokens(1523, 70, 500, 23))


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_minutes_and_keys_of_openais_csv_are_days_of_a_model(tmp_path: Path, mark: str) -> None:
    read_sums = read(tmp_path, mark + OPENAI)
    assert read_sums[DAY, "gpt-4o"] == OPENAI_SUMS
    assert read_sums[date(2026, 11, 26), "o3"] == Provided(0, Tokens(0, 0, 0))


def test_columns_may_come_in_any_order_and_case_with_others_beside(tmp_path: Path) -> None:
    text = "Output_Tokens,model,extra,start_time,Input_Tokens\r\n20,GPT-4o,,1795564800,100\r\n"
    assert read(tmp_path, text) == {(DAY, "gpt-4o"): Provided(0, Tokens(100, 20))}


def test_anthropics_csv_has_the_parts_of_the_prompt_apart(tmp_path: Path) -> None:
    assert read(tmp_path, ANTHROPIC) == {(DAY, "claude-sonnet-4-5"): ANTHROPIC_SUMS}


@pytest.mark.parametrize(
    "answers",
    [
        openai_answer(),
        [openai_answer()],
        openai_answer()["data"],
        [openai_answer(has_more=True), {"object": "page", "data": [], "has_more": False}],
    ],
)
def test_openais_answers_say_the_same(tmp_path: Path, answers: object) -> None:
    assert read(tmp_path, json.dumps(answers)) == {(DAY, "gpt-4o"): OPENAI_SUMS}


def test_anthropics_answer_says_the_same(tmp_path: Path) -> None:
    assert read(tmp_path, json.dumps(anthropic_answer())) == {(DAY, "claude-sonnet-4-5"): ANTHROPIC_SUMS}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (OPENAI.replace(",7162,", ',"7.162,00",'), "line 2: input_tokens is '7.162,00', which is no number"),
        (OPENAI.replace(",7162,", ",-7,"), "no number of tokens"),
        (OPENAI.replace(",7162,", ",NaN,"), "no number of tokens"),
        (OPENAI.replace(",7162,", ",7162.5,"), "no number of tokens"),
        (OPENAI.replace(",", ";"), "separated by semicolons"),
        (OPENAI.replace("gpt-4o-2024-08-06", ""), "grouped by model"),
        (OPENAI.replace("2026-11-25T00:00:00+00:00", "25/11/2026"), "'25/11/2026' is no day"),
        (OPENAI.replace("1795564860", "1795964860"), "more than a day"),
        (OPENAI.encode("utf-16"), "not UTF-8"),
        (OPENAI.replace("key_1", "chavé").encode("latin-1"), "not UTF-8"),
        ("start_time,end_time,start_time_iso,end_time_iso\n", "no columns of a usage export"),
        ("", "no columns"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[7]", "no usage answer"),
        ('{"error": {"message": "no"}}', "neither data nor results"),
        (json.dumps(openai_answer(has_more=True)), "has_more"),
        (json.dumps([openai_answer(), openai_answer(has_more=True)]), "has_more"),
        (json.dumps(openai_answer()).replace("7200", "NaN"), "no number of tokens"),
        (json.dumps(openai_answer()).replace("1795651200", "1795951200"), "more than a day"),
        (json.dumps(openai_answer()).replace('"gpt-4o-2024-08-06"', "null"), "grouped by model"),
    ],
)
def test_a_file_that_was_mangled_is_refused_in_words(tmp_path: Path, text: str | bytes, told: str) -> None:
    with pytest.raises(ExportError, match=re.escape(told)) as refused:
        read(tmp_path, text)
    assert "\n" not in str(refused.value)


def test_a_snapshot_is_called_as_the_model() -> None:
    names = ["openai/GPT-4o-2024-08-06", "claude-3-5-haiku-20241022", "anthropic/claude-opus-4-1", "o3", "gpt-4o-mini"]
    assert [plain_model(name) for name in names] == [
        "gpt-4o",
        "claude-3-5-haiku",
        "claude-opus-4-1",
        "o3",
        "gpt-4o-mini",
    ]
