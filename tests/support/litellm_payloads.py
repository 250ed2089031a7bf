"""What LiteLLM posts of a call, as version 1.106 was seen to, with all that a test does not care about filled in."""

from datetime import UTC, datetime
from typing import Any


def payload(
    call_id: str,
    account_id: str = "ana",
    *,
    prompt: int = 0,
    completion: int = 0,
    cached: int = 0,
    reasoning: int = 0,
    started_at: datetime | None = None,
    **fields: Any,  # Any: each field has its own type
) -> dict[str, Any]:
    """`fields` are set over the rest."""
    began = (started_at or datetime.now(UTC)).timestamp()
    usage = {
        "completion_tokens": completion,
        "prompt_tokens": prompt,
        "total_tokens": prompt + completion,
        "completion_tokens_details": {"audio_tokens": 0, "reasoning_tokens": reasoning, "text_tokens": None},
        "prompt_tokens_details": {"audio_tokens": 0, "cached_tokens": cached},
    }
    return {
        "id": f"chatcmpl-{call_id}",
        "litellm_call_id": call_id,
        "trace_id": "4cbfd30c-cccd-4425-92d3-b61b374e5d8e",
        "call_type": "acompletion",
        "cache_hit": None,
        "stream": None,
        "status": "success",
        "custom_llm_provider": "openai",
        "startTime": began,
        "endTime": began + 0.75,
        "model": "openai/gpt-4o",
        "model_group": "gpt-4o",
        "metadata": {"user_api_key_end_user_id": account_id, "usage_object": usage},
        "response_cost": 0.0,
        "total_tokens": prompt + completion,
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "end_user": account_id,
        "messages": [{"role": "user", "content": "redacted-by-litellm"}],
        "response": {"choices": [{"message": {"content": "redacted-by-litellm"}}]},
        **fields,
    }
