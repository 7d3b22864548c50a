"""What is recorded at packing is the model's own, and only what other machines find too."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from math import inf
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel, PreTrainedTokenizerFast
from transformers.modeling_outputs import CausalLMOutputWithPast

from adapter.probes import LEAST_LOG_PROBABILITY, PROBES_ENTRY, Probe
from adapter.schema import DoneEvent
from handlers import probe_recording
from handlers.engine import Engine
from handlers.model_loading import LoadedModel, load_model
from handlers.probe_check import check_probes
from handlers.probe_recording import _PROMPTS, record_probes
from handlers.settings import HandlerSettings
from tests.handlers.character_tokenizer import character_tokenizer
from tests.handlers.conftest import CONTEXT_LENGTH
from tests.handlers.fake_frontend import FakeFrontend

TINY = Path(__file__).parents[2] / "models" / "tiny"
AM = 531  # in the clear part of the third answer: " it. "I am sorry," said"


@pytest.fixture
def tiny() -> LoadedModel:
    return load_model(TINY, HandlerSettings())


@pytest.fixture
def random_model(any_model: PreTrainedModel) -> LoadedModel:
    return LoadedModel(any_model, character_tokenizer(), frozenset(), CONTEXT_LENGTH)


def logits_of(loaded: LoadedModel, probe: Probe) -> torch.Tensor:
    with torch.inference_mode():
        return loaded.model(torch.tensor([probe.tokens])).logits[0]


def test_answers_are_the_beginning_of_the_models_own(tiny: LoadedModel) -> None:
    probes = record_probes(tiny).probes

    assert sum(len(probe.answer_tokens) for probe in probes) >= 10
    for probe in probes:
        prompt = torch.tensor([tiny.tokenizer(probe.prompt)["input_ids"]])
        generated = tiny.model.generate(prompt, do_sample=False, max_new_tokens=32)[0].tolist()
        assert generated[: len(probe.tokens)] == list(probe.tokens)
        assert tiny.tokenizer.decode(list(probe.answer_tokens)) == probe.answer


def test_every_token_of_an_answer_leads_clearly_and_the_next_one_does_not(tiny: LoadedModel) -> None:
    for probe in record_probes(tiny).probes:
        likeliest = logits_of(tiny, probe)[len(probe.prompt_tokens) - 1 :].topk(2).values
        *leads, next_lead = (likeliest[:, 0] - likeliest[:, 1]).tolist()
        assert all(lead >= 0.5 for lead in leads)
        assert next_lead < 0.5


def test_an_answer_is_made_no_further_than_it_is_kept(tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    own, made = probe_recording._greedy_tokens, []

    def noted(engine: Engine, prompt_tokens: Sequence[int]) -> list[int]:
        made.append(own(engine, prompt_tokens))
        return made[-1]

    monkeypatch.setattr(probe_recording, "_greedy_tokens", noted)
    kept = [list(probe.answer_tokens) for probe in record_probes(tiny).probes]

    assert [tokens[:-1] for tokens in made] == kept


def test_every_model_is_recorded_by_its_own_log_probabilities(random_model: LoadedModel) -> None:
    probes = record_probes(random_model).probes

    assert len(probes) == 4
    for probe in probes:
        assert len(probe.log_probabilities) >= 15
        own = -cross_entropy(logits_of(random_model, probe)[:-1], torch.tensor(probe.tokens[1:]), reduction="none")
        assert [number / 10 for number in probe.log_probabilities] == pytest.approx(own.tolist(), abs=0.0501)


@pytest.mark.parametrize("stop", [None, AM], ids=["for want of a clear token", "by a stop token"])
def test_the_handler_answers_just_what_was_recorded_wherever_it_ends(tmp_path: Path, stop: int | None) -> None:
    model = tmp_path / "model"
    shutil.copytree(TINY, model)
    if stop is not None:
        file = model / "generation_config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"eos_token_id": stop}))
    probes = [probe for probe in record_probes(load_model(model, HandlerSettings())).probes if probe.answer_tokens]
    frontend = FakeFrontend(tmp_path)
    clients = [
        frontend.send(prompt=probe.prompt, max_length=len(probe.answer_tokens), temperature=0) for probe in probes
    ]
    frontend.run()
    frontend.close()

    assert any(probe.finish_reason == "stop" for probe in probes) == (stop is not None)
    for probe, client in zip(probes, clients, strict=True):
        done = client.events[-1]
        assert isinstance(done, DoneEvent)
        assert done.response.text == probe.answer
        assert done.response.tokens_generated == len(probe.answer_tokens)
        assert done.response.finish_reason == probe.finish_reason
        assert done.response.prompt_tokens == len(probe.prompt_tokens)


@pytest.mark.parametrize("unknown", [None, "N"], ids=["refuses English", "reads it as one token"])
def test_a_tokenizer_without_english_is_asked_its_own_words(any_model: PreTrainedModel, unknown: str | None) -> None:
    tokenizer = Tokenizer(WordLevel({"A": 0, "C": 1, "G": 2, "T": 3, "N": 4}, unk_token=unknown or "none"))
    loaded = LoadedModel(any_model, PreTrainedTokenizerFast(tokenizer_object=tokenizer), frozenset(), CONTEXT_LENGTH)

    prompts = [probe.prompt for probe in record_probes(loaded).probes]

    assert prompts == (list(_PROMPTS) if unknown else ["A", "C", "G", "T"])


def test_an_answer_does_not_end_within_a_character(tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = tiny.tokenizer("a世", add_special_tokens=False)["input_ids"]
    assert len(whole) > 2
    monkeypatch.setattr("handlers.probe_recording._num_clear", lambda _, answer_tokens, __: len(answer_tokens))

    def recorded(answer_tokens: list[int]) -> tuple[str, tuple[int, ...], str]:
        monkeypatch.setattr("handlers.probe_recording._greedy_tokens", lambda *_: answer_tokens)
        probe = record_probes(tiny).probes[0]
        return probe.answer, probe.answer_tokens, probe.finish_reason

    (stop,) = tiny.stop_token_ids
    assert recorded([*whole, stop]) == ("a世", (*whole, stop), "stop")
    assert recorded(whole) == ("a世", tuple(whole), "length")
    assert recorded(whole[:-1]) == ("a", (whole[0],), "length")
    assert recorded([*whole[:-1], stop]) == ("a", (whole[0],), "length")


def test_a_token_that_the_model_rules_out_has_the_least_log_probability(tmp_path: Path, tiny: LoadedModel) -> None:
    ruled_out = tiny.tokenizer("Once upon a time")["input_ids"][-1]

    def rule_out(_model: object, _arguments: object, output: CausalLMOutputWithPast) -> None:
        output.logits[..., ruled_out] = -inf

    tiny.model.register_forward_hook(rule_out)
    probes = record_probes(tiny)
    file = tmp_path / PROBES_ENTRY
    file.parent.mkdir()
    file.write_bytes(probes.to_bytes())

    assert min(probes.probes[0].log_probabilities) == LEAST_LOG_PROBABILITY
    check_probes(tmp_path, tiny)


def test_a_prompt_that_the_context_does_not_hold_is_left_out(tiny: LoadedModel) -> None:
    (probe,) = record_probes(replace(tiny, context_length=6)).probes

    assert probe.prompt == "Once upon a time"
    assert len(probe.tokens) <= 6
    assert record_probes(replace(tiny, context_length=2)).probes == ()


def test_one_thread_adds_up_and_the_others_are_given_back(tiny: LoadedModel) -> None:
    threads = set()
    tiny.model.register_forward_hook(lambda *_: threads.add(torch.get_num_threads()))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        record_probes(tiny)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)

    assert threads == {1}


def test_weights_of_another_type_are_recorded_as_they_are_in_float32(tiny: LoadedModel) -> None:
    rounded = record_probes(load_model(TINY, HandlerSettings(dtype="bfloat16")))
    tiny.model.to(torch.bfloat16).to(torch.float32)

    assert rounded == record_probes(tiny)
