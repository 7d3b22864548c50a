import pytest
from jinja2 import TemplateSyntaxError
from jinja2.sandbox import SecurityError

from handlers import bounded_template
from handlers.bounded_template import BoundedTemplate
from handlers.chat_template import ChatTemplate, ChatTemplateError
from handlers.template_limits import TemplateLimitError
from tests.handlers.chat_families import byte_level, chat_tokenizer, template

LONG = "{% set long = 'a' * 1000000 %}"
ENDLESS = {
    "nested loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "loops that write": "{% for a in range(99999) %}" + "x" * 1000 + "{% endfor %}",
    "a macro that calls itself": (
        "{% macro m(n) %}{% for i in range(9) %}{{ m(n - 1) if n }}{% endfor %}{% endmacro %}{{ m(99) }}"
    ),
    "filters": "{% for a in range(99999) %}{{ a | string | trim | trim | trim | trim | trim | trim }}{% endfor %}",
}
IMMENSE = {
    "repeated": "{{ 'a' * 500000000 }}",
    "a repeated list": "{{ [1] * 500000000 }}",
    "a power": "{{ 10 ** (10 ** 10) }}",
    "a product": "{% set ns = namespace(x=10) %}{% for i in range(64) %}{% set ns.x = ns.x * ns.x %}{% endfor %}",
    "doubled": "{% set ns = namespace(x='ab') %}{% for i in range(64) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
    "joined by ~": "{% set ns = namespace(x='ab') %}{% for i in range(64) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
    "a doubled block": (
        "{% set ns = namespace(x='ab') %}"
        "{% for i in range(64) %}{% set ns.x %}{{ ns.x }}{{ ns.x }}{% endset %}{% endfor %}"
    ),
    "padded": "{{ 'a' | center(1000000000) }}",
    "padded by a method": "{{ 'a'.rjust(1000000000) }}",
    "rounded": "{{ 1.5 | round(1000000000, 'floor') }}",
    "a width": "{{ '%1000000000d' % 1 }}",
    "a width that is given": "{{ '%*d' % (1000000000, 1) }}",
    "a width of format": "{{ '{:1000000000}'.format(1) }}",
    "formatted often": LONG + "{{ ('{0}' * 10000).format(long) }}",
    "formatted often by name": LONG + "{{ ('{a}' * 10000).format_map({'a': long}) }}",
    "formatted often by %": LONG + "{{ ('%(a)s' * 10000) % {'a': long} }}",
    "joined": LONG + "{{ ([long] * 99999) | join }}",
    "joined by a method": LONG + "{{ long.join(['b'] * 99999) }}",
    "joined from an iterator": LONG + "{{ ([long] * 99999) | map('string') | join }}",
    "joined members": LONG + "{{ ([{'text': long}] * 99999) | join(attribute='text') }}",
    "replaced": LONG + "{{ long | replace('a', long) }}",
    "replaced by a method": LONG + "{{ long.replace('', long) }}",
    "indented": LONG + "{{ ('\\n' * 99999) | indent(long, true, true) }}",
}


@pytest.mark.parametrize("source", ENDLESS.values(), ids=ENDLESS)
def test_template_that_does_not_end_is_ended(source: str) -> None:
    with pytest.raises(TemplateLimitError, match=r"too many steps|too long"):
        BoundedTemplate(source).render()


@pytest.mark.parametrize("source", IMMENSE.values(), ids=IMMENSE)
def test_template_that_would_fill_the_memory_is_ended_before(source: str) -> None:
    with pytest.raises(TemplateLimitError):
        BoundedTemplate(source).render()


@pytest.mark.parametrize("method", ["translate({97: 'b'})", "expandtabs(9)", "encode()"])
def test_method_that_no_template_needs_is_not_there(method: str) -> None:
    with pytest.raises(SecurityError):
        BoundedTemplate("{{ 'a'." + method + " }}").render()


def test_template_with_a_syntax_error_is_refused() -> None:
    with pytest.raises(TemplateSyntaxError):
        BoundedTemplate("{% for %}")


def test_long_conversation_is_within_the_limits() -> None:
    messages = [{"role": "user" if index % 2 == 0 else "assistant", "content": "Hi " * 100} for index in range(7_000)]

    text = BoundedTemplate(template("qwen")).render(messages=messages, add_generation_prompt=True)

    assert text.count("<|im_end|>") == 7_000


def test_many_texts_can_be_joined() -> None:
    texts = ["Hi"] * 20_000

    assert BoundedTemplate("{{ texts | join('\n') }}").render(texts=texts) == "\n".join(texts)


def test_large_number_that_is_no_width_is_one_like_others() -> None:
    assert BoundedTemplate("{% set ns = namespace(budget=10000000) %}{{ ns.budget }}").render() == "10000000"


def test_each_render_has_the_whole_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_template, "MOST_WORK", 5_000)
    template = BoundedTemplate("{% for a in range(999) %}{{ a | string | trim | length }}{% endfor %}")

    assert {template.render() for _ in range(3)} == {template.render()}


def test_endless_template_is_refused_as_a_chat_template_and_serves_no_chat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_template, "MOST_WORK", 5_000)  # the true one takes a second for each conversation
    tokenizer = chat_tokenizer(byte_level(), ENDLESS["nested loops"], ["<s>", "</s>"], bos="<s>", eos="</s>")

    with pytest.raises(ChatTemplateError, match=r"fails on these messages\.$") as failure:
        ChatTemplate(tokenizer).encode([{"role": "user", "content": "Hi"}])
    assert isinstance(failure.value.__cause__, TemplateLimitError)
