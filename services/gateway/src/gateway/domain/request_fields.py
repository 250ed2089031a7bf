"""Every field that a chat request may carry, by what it can do to the cost of a call.

Sources: OpenAI's chat completions reference; LiteLLM 1.109 `litellm/types/utils.py` (`all_litellm_params`,
`StandardCallbackDynamicParams`, `CustomPricingLiteLLMParams`), `litellm/types/router.py` (`GenericLiteLLMParams`) and
its proxy's pre-call; OpenRouter's, vLLM's, Ollama's and DashScope's parameters.
"""

import re
from enum import Enum
from functools import lru_cache
from typing import Final


def _in_order(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _names(text: str) -> frozenset[str]:
    return frozenset(_in_order(text))


class FieldClass(Enum):
    """`HARMLESS` is forwarded, and no part of the prompt; `COUNTED` enters the hold; `MOVING` would have the call made
    elsewhere, otherwise, or with limits taken off, and is refused; `UNKNOWN` is on no list.
    """

    HARMLESS = "harmless"
    COUNTED = "counted"
    MOVING = "moving"
    UNKNOWN = "unknown"


MAXIMA: Final = _in_order(
    """
    max_completion_tokens max_tokens max_output_tokens max_new_tokens max_gen_len max_tokens_to_sample
    maxOutputTokens maxTokens n_predict num_predict
    """
)
"""Names under which one provider or another takes the largest output of a choice."""

SURE_MAXIMA: Final = ("max_completion_tokens", "max_tokens")
"""Those that LiteLLM translates for every provider; whoever does not know another name goes on without a maximum."""

BUDGETS: Final = ("budget_tokens", "thinking_budget", "thinkingBudget", "reasoning_budget", "max_thinking_tokens")
"""Thinking that some providers do beside the maximum; inside `reasoning`, OpenRouter calls it `max_tokens`."""

CHOICES: Final = ("n", "best_of", "num_return_sequences", "candidate_count", "candidateCount", "num_generations")

FREE_FORM: Final = _names(
    """
    messages system tools functions tool_choice function_call response_format guided_json structured_outputs
    documents metadata prediction logit_bias
    """
)
"""Fields whose inner names are a client's own: a maximum there is a word of a schema or a text, not a parameter."""

OPTION_BAGS: Final = _in_order(
    """
    options generation_config generationConfig parameters reasoning thinking thinking_config thinkingConfig
    chat_template_kwargs sampling_params
    """
)
"""Fields that hold parameters again: what is no number under a name of a maximum, budget or choice is refused there."""

_HARMLESS: Final = _names(
    """
    model stream stream_options user temperature top_p top_k top_a min_p typical_p tfs_z tfs epsilon_cutoff
    eta_cutoff frequency_penalty presence_penalty repetition_penalty repeat_penalty length_penalty
    no_repeat_ngram_size dynatemp_range dynatemp_exponent mirostat mirostat_tau mirostat_eta xtc_probability
    xtc_threshold smoothing_factor seed random_seed stop stop_sequences stop_token_ids
    include_stop_str_in_output ignore_eos min_tokens skip_special_tokens spaces_between_special_tokens
    add_generation_prompt continue_final_message add_special_tokens logprobs top_logprobs prompt_logprobs
    return_tokens_as_token_ids logit_bias logits_processors parallel_tool_calls tool_choice function_call
    reasoning_effort reasoning_format include_reasoning separate_reasoning enable_thinking verbosity modalities
    audio service_tier store safety_identifier prompt_cache_key prompt_cache_retention safety_settings
    safetySettings safe_prompt guided_json guided_regex guided_choice guided_grammar guided_decoding_backend
    guided_whitespace_pattern structured_outputs regex ebnf provider keep_alive use_beam_search early_stopping
    truncate_prompt_tokens priority request_id cache_salt echo raw_mode inference_geo output_config top_n_tokens
    do_sample
    """
)

_COUNTED: Final = _names(
    """
    messages system tools functions response_format prediction web_search_options prompt prefix suffix documents
    instructions context mcp_servers plugins transforms chat_template citation_options search_parameters
    """
) | {*MAXIMA, *BUDGETS, *CHOICES, *OPTION_BAGS}

_MOVING: Final = _names(
    """
    fallbacks context_window_fallbacks context_window_fallback_dict content_policy_fallbacks default_fallbacks
    fallback_depth max_fallbacks models route preset model_list model_info model_config model_group
    model_group_alias base_model hf_model_name model_file_id_mapping custom_llm_provider use_litellm_proxy
    use_chat_completions_api routing_strategy routing_groups specific_deployment deployment_id tag_regex tags
    order weight region_name allowed_model_region fastest_response num_retries max_retries retry_policy
    retry_strategy retry_after cooldown_time timeout request_timeout stream_timeout force_timeout rpm tpm itpm
    otpm max_parallel_requests max_budget budget_duration soft_budget drop_params additional_drop_params
    allowed_openai_params enable_json_schema_validation modify_params extra_body extra_headers extra_query
    headers provider_specific_header proxy_server_request secret_fields api_base base_url api_key api_version
    api_type organization project azure client shared_session use_client configurable_clientside_auth_params
    tenant_id client_id client_secret data_sources vector_store_ids knowledge_bases
    cache_control_injection_points search_tool_name mock_response mock_timeout mock_tool_calls complete_response
    caching cache cache_key preset_cache_key caching_groups ttl no-cache no-log s-maxage s-max-age no-store
    turn_off_message_logging guardrails disable_global_guardrail disable_global_guardrails guardrail_config
    policies prompt_id prompt_variables prompt_label prompt_version roles final_prompt_value
    initial_prompt_value bos_token eos_token supports_system_message ensure_alternating_roles
    user_continue_message assistant_continue_message merge_reasoning_content_in_choices
    disable_add_transform_inline_image_block use_in_pass_through acompletion aimg_generation atext_completion
    text_completion logger_fn log_delegator verbose call_id id self callbacks success_callback failure_callback
    tiered_pricing ptu_count keepalive_seconds allow_client_keepalive_override max_file_size_mb
    """
)
_MOVING_PATTERN: Final = re.compile(
    r"litellm_.*|_litellm.*|aws_.*|azure_.*|vertex_.*|vertexai_.*|watsonx_.*|gcs_.*|s3_.*|bedrock_.*|bucket_name"
    r"|langfuse_.*|langsmith_.*|humanloop_.*|arize_.*|posthog_.*|wandb_.*|weave_.*|lunary_.*|slack_.*"
    r"|user_api_key.*|.*_cost_per_.*|default_api_key_.*|.*_credentials|proxy_.*"
)

MOVING_METADATA: Final = frozenset(
    {"tags", "model_group", "guardrails", "deployment", "model_info", "specific_deployment"}
)
"""Of OpenAI's `metadata`, which LiteLLM reads as its own too: what it routes by."""


def class_of(name: str) -> FieldClass:
    """The class of a top-level field of a chat request."""
    return _CLASSES.get(name) or _class_by_pattern(name)


_CLASSES: Final[dict[str, FieldClass]] = {
    **dict.fromkeys(_HARMLESS, FieldClass.HARMLESS),
    **dict.fromkeys(_COUNTED, FieldClass.COUNTED),
    **dict.fromkeys(_MOVING, FieldClass.MOVING),
    "metadata": FieldClass.HARMLESS,
}


@lru_cache(maxsize=1024)
def _class_by_pattern(name: str) -> FieldClass:
    return FieldClass.MOVING if _MOVING_PATTERN.fullmatch(name) else FieldClass.UNKNOWN


class LimitKind(Enum):
    """What a number means for the size of an answer."""

    MAXIMUM = "maximum"
    BUDGET = "budget"
    CHOICES = "choices"


_MINDED: Final = re.compile("think|reason|thought")
_NOT_OUTPUT: Final = re.compile("^min|input|prompt|context|ctx")
_MAXIMUM: Final = re.compile(
    "(?=.*token).*(max|limit|num|generat|predict|output|complet|new|decod|respon|sampl)"
    "|.*(max|output|generat|complet|respon).*len(gth)?$|n(um)?predict"
)
_BUDGET: Final = re.compile(".*(token|budget|max|limit)")
_CHOICES: Final = re.compile(
    "n(um(ber)?)?(of)?(return(ed)?)?(sequence|sample|completion|generation|choice|candidate|output|response)s"
    "|(sequence|sample|completion|generation|choice|candidate|output|response)s?count"
)
_LONGEST_NAME: Final = 64


def limit_kind(name: str) -> LimitKind | None:
    """What a name limits, in whatever case and with whatever separators; None where it is none that is known."""
    return _LIMITS.get(name) or (_limit_by_letters(name) if len(name) <= _LONGEST_NAME else None)


def top_limit_kind(name: str) -> LimitKind | None:
    """The same for a field at the top, where a name on no list counts by what it looks like."""
    if class_of(name) is not FieldClass.UNKNOWN:
        return _LIMITS.get(name)
    return limit_kind(name) or (_limit_by_look(name) if len(name) <= _LONGEST_NAME else None)


def is_about_thinking(name: str) -> bool:
    """Whether a maximum inside of a field of this name is one of thinking."""
    return _MINDED.search(name.lower()) is not None


def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, name)).lower()


_LIMITS: Final[dict[str, LimitKind]] = {
    **dict.fromkeys(MAXIMA, LimitKind.MAXIMUM),
    **dict.fromkeys(BUDGETS, LimitKind.BUDGET),
    **dict.fromkeys(CHOICES, LimitKind.CHOICES),
}
# A single letter in the other case is another name.
_LIMITS_BY_LETTERS: Final = {_letters(name): kind for name, kind in _LIMITS.items() if len(name) > 1}


@lru_cache(maxsize=1024)
def _limit_by_letters(name: str) -> LimitKind | None:
    return _LIMITS_BY_LETTERS.get(_letters(name))


@lru_cache(maxsize=1024)
def _limit_by_look(name: str) -> LimitKind | None:
    letters = _letters(name)
    if _CHOICES.fullmatch(letters):
        return LimitKind.CHOICES
    if _NOT_OUTPUT.search(letters):
        return None
    if _MINDED.search(letters):
        return LimitKind.BUDGET if _BUDGET.match(letters) else None
    return LimitKind.MAXIMUM if _MAXIMUM.match(letters) else None
