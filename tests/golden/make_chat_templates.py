#!/usr/bin/env python3
"""Writes chat_templates.json beside this script: chat templates in the constructs that published families use, written
for this test, and what transformers makes of them.

    python tests/golden/make_chat_templates.py      # needs transformers 5.24

    templates       name -> text
    conversations   lists of messages
    settings        sets of variables of the template, with add_generation_prompt
    cases           [template, conversation, settings, result]: the text, or {"error": the message} where the template
                    raises an exception; empty where Jinja itself does
    expressions     [template, result] with the variables of `variables`
    variables       of `expressions`
"""

import json
import pathlib

import jinja2
from transformers.utils.chat_template_utils import render_jinja_template

TEMPLATES = {
    "chatml": """\
{%- if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nYou help.<|im_end|>\\n' }}{% endif %}
{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + \
'\\n'}}{% endfor %}
{% if add_generation_prompt %}
{{ '<|im_start|>assistant\\n' }}
{% endif %}
""",
    "inst": """\
{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}{% set system = messages[0]['content'] %}
{% elif use_default == true and not '<<SYS>>' in messages[0]['content'] %}{% set rest = messages %}\
{% set system = 'Be kind.' %}
{% else %}{% set rest = messages %}{% set system = false %}{% endif %}
{% if rest | length == 0 and system %}{{ bos_token + '[INST] <<SYS>>\\n' + system + '\\n<</SYS>>' }}{% endif %}
{% for message in rest %}
{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
{{ raise_exception('Roles must alternate: user/assistant/user/...') }}
{% endif %}
{% if loop.index0 == 0 and system != false %}{% set content = '<<SYS>>\\n' + system + '\\n<</SYS>>\\n\\n' + \
message['content'] %}
{% else %}{% set content = message['content'] %}{% endif %}
{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}
{% elif message['role'] == 'system' %}{{ '<<SYS>>\\n' + content.strip() + '\\n<</SYS>>\\n\\n' }}
{% elif message['role'] == 'assistant' %}{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}
{% endfor %}""",
    "headers": """\
{% set loop_messages = messages %}{% for message in loop_messages %}\
{% set content = '<|start|>' + message['role'] + '<|end|>\\n\\n'\
+ message['content'] | trim + '<|eot|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}\
{% endif %}{{ content }}\
{% endfor %}{% if add_generation_prompt %}{{ '<|start|>assistant<|end|>\\n\\n' }}{% endif %}""",
    "dated": """\
{{- bos_token }}
{%- if custom_tools is defined %}
    {%- set tools = custom_tools %}
{%- endif %}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%Y") | length ~ " digits" %}
    {%- else %}
        {%- set date_string = "26 Jul 2024" %}
    {%- endif %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}
{#- The system message is taken out. #}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content'] | trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start|>system<|end|>\\n\\n" }}
{%- if tools is not none %}
    {{- "Environment: ipython\\n" }}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\\n\\n" }}
    {%- endfor %}
{%- endif %}
{{- "Today Date: " + date_string + "\\n\\n" }}
{{- system_message }}
{{- "<|eot|>" }}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start|>' + message['role'] + '<|end|>\\n\\n' + message['content'] | trim + '<|eot|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls | length == 1 %}
            {{- raise_exception("This model only supports single tool-calls at once!") }}
        {%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {{- '{"name": "' + tool_call.name + '", ' }}
        {{- '"parameters": ' }}
        {{- tool_call.arguments | tojson }}
        {{- "}" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start|>assistant<|end|>\\n\\n' }}
{%- endif %}
""",
    "counted": """\
{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}
{%- set ns = namespace(index=0) %}
{%- for message in loop_messages %}
    {%- if not (message.role == "tool" or (message.tool_calls is defined and message.tool_calls is not none)) %}
        {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
            {{- raise_exception("Roles must alternate, found " ~ message.role ~ " at " ~ loop.index) }}
        {%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- endif %}
{%- endfor %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST] " + system_message + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
        {%- if message == user_messages[-1] %}{{- "!" }}{%- endif %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"] + eos_token}}
    {%- else %}
        {{- raise_exception("Only user and assistant roles are supported!") }}
    {%- endif %}
{%- endfor %}
""",
    "turns": """\
{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}\
{% for message in messages %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}\
{% set role = message['role'] %}\
{% endif %}{{ '<start_of_turn>' + role + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}{% endfor %}\
{% if add_generation_prompt %}{{'<start_of_turn>model\\n'}}{% endif %}""",
    "pieces": """\
{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- if messages[0]['content'] is string -%}
        {%- set first_user_prefix = messages[0]['content'] + '\\n\\n' -%}
    {%- else -%}
        {%- set first_user_prefix = messages[0]['content'][0]['text'] + '\\n\\n' -%}
    {%- endif -%}
    {%- set loop_messages = messages[1:] -%}
{%- else -%}
    {%- set first_user_prefix = "" -%}
    {%- set loop_messages = messages -%}
{%- endif -%}
{%- for message in loop_messages -%}
    {%- set role = "model" if message['role'] == 'assistant' else message['role'] -%}
    {{ '<turn>' + role + '\\n' + (first_user_prefix if loop.first else "") }}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- elif message['content'] is iterable -%}
        {%- for item in message['content'] -%}
            {%- if item['type'] == 'image' -%}
                {{ '<image>' }}
            {%- elif item['type'] == 'text' -%}
                {{ item['text'] | trim }}
            {%- endif -%}
        {%- endfor -%}
    {%- else -%}
        {{ raise_exception("Invalid content type") }}
    {%- endif -%}
    {{ '<end>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{ '<turn>model\\n' }}
{%- endif -%}
""",
    "roles": """\
{% for message in messages %}{% if message['role'] == 'system' and message['content'] %}\
{{'<|system|>\\n' + message['content'] + '<|end|>\\n'}}\
{% elif message['role'] == 'user' %}{{'<|user|>\\n' + message['content'] + '<|end|>\\n'}}\
{% elif message['role'] == 'assistant' %}\
{{'<|assistant|>\\n' + message['content'] + '<|end|>\\n'}}{% endif %}{% endfor %}{% if add_generation_prompt %}\
{{ '<|assistant|>\\n' }}{% else %}{{ eos_token }}{% endif %}""",
    "lines": """\
{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '<|user|>\\n' + message['content'] + eos_token }}
{% elif message['role'] == 'system' %}
{{ '<|system|>\\n' + message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}
{{ '<|assistant|>\\n'  + message['content'] + eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}""",
    "thinking": """\
{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0].role == 'system' %}
        {{- messages[0].content + '\\n\\n' }}
    {%- endif %}
    {{- "# Tools\\n\\n<tools>" }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\\n</tools><|im_end|>\\n" }}
{%- else %}
    {%- if messages[0].role == 'system' %}
        {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
    {%- endif %}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and \
not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning_content = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning_content = message.reasoning_content %}
        {%- else %}
            {%- if '</think>' in content %}
                {%- set reasoning_content = \
content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
                {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
            {%- endif %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index %}
            {%- if loop.last or (not loop.last and reasoning_content) %}
                {{- '<|im_start|>' + message.role + '\\n<think>\\n' + reasoning_content.strip('\\n') + \
'\\n</think>\\n\\n' + content.lstrip('\\n') }}
            {%- else %}
                {{- '<|im_start|>' + message.role + '\\n' + content }}
            {%- endif %}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\\n' + content }}
        {%- endif %}
        {%- if message.tool_calls %}
            {%- for tool_call in message.tool_calls %}
                {%- if (loop.first and content) or (not loop.first) %}
                    {{- '\\n' }}
                {%- endif %}
                {%- if tool_call.function %}
                    {%- set tool_call = tool_call.function %}
                {%- endif %}
                {{- '<tool_call>\\n{"name": "' }}
                {{- tool_call.name }}
                {{- '", "arguments": ' }}
                {%- if tool_call.arguments is string %}
                    {{- tool_call.arguments }}
                {%- else %}
                    {{- tool_call.arguments | tojson }}
                {%- endif %}
                {{- '}\\n</tool_call>' }}
            {%- endfor %}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == "tool" %}
        {%- if loop.first or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\\n<tool_response>\\n' }}
        {{- content }}
        {{- '\\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|im_end|>\\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}""",
    "flags": """\
{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}\
{% set ns = namespace(is_first=false, is_tool=false, is_output_first=true, system_prompt='', is_first_sp=true) %}\
{%- for message in messages %}{%- if message['role'] == 'system' %}{%- if ns.is_first_sp %}\
{% set ns.system_prompt = ns.system_prompt + message['content'] %}{% set ns.is_first_sp = false %}{%- else %}\
{% set ns.system_prompt = ns.system_prompt + '\\n\\n' + message['content'] %}{%- endif %}{%- endif %}{%- endfor %}\
{{ bos_token }}{{ ns.system_prompt }}{%- for message in messages %}{%- if message['role'] == 'user' %}\
{%- set ns.is_tool = false -%}\
{{'<|User|>' + message['content']}}{%- endif %}{%- if message['role'] == 'assistant' and message['content'] is not \
none %}\
{% set content = message['content'] %}{% if '</think>' in content %}\
{% set content = content.split('</think>')[-1] %}{% endif %}\
{{'<|Assistant|>' + content + eos_token}}{%- endif %}{%- endfor -%}{% if add_generation_prompt and not ns.is_tool %}\
{{'<|Assistant|><think>\\n'}}{% endif %}""",
    "macros": """\
{%- macro kind(spec, required=true) -%}
    {%- if spec.type == "array" -%}
        {%- if spec['items'] -%}{{ kind(spec['items']) + "[]" }}{%- else -%}any[]{%- endif -%}
    {%- elif spec.type == "object" and spec.properties is mapping -%}
        {{- "{" }}
        {%- for name, inner in spec.properties.items() -%}
            {{ name }}{{ "" if name in (spec.required or []) else "?" }}: {{ kind(inner, name in (spec.required or \
[])) }}
            {%- if not loop.last %}, {% endif -%}
        {%- endfor -%}
        {{- "}" }}
    {%- elif spec.enum is defined -%}
        '{{ spec.enum | join("' | '") }}'
    {%- else -%}
        {{- spec.type | default("any") }}
    {%- endif -%}
    {%- if not required %} | null{% endif -%}
{%- endmacro -%}
{%- macro message_of(role, text, closing='<|end|>') %}{{ '<|' ~ role ~ '|>' ~ text ~ closing }}{% endmacro %}
{%- set tool_text -%}
{%- for tool in tools or [] %}
type {{ tool.function.name }} = (_: {{ kind(tool.function.parameters) }}) => any; // {{ tool.function.description | \
default("no words", true) | capitalize }}
{%- endfor %}
{%- endset -%}
{{ message_of('system', tool_text | trim) }}
{%- for message in messages if message.role != 'system' %}
{%- if message.role == 'tool' %}{% continue %}{% endif %}
{%- if loop.index > 4 %}{{ message_of('more', loop.revindex, closing='') }}{% break %}{% endif %}
{{- message_of(message.role, message.content or '') }}
{%- else %}nothing said{% endfor %}
{%- generation %}{{ loop is defined }}{% endgeneration %}""",
}
PLAIN = [{"role": "system", "content": "  Be brief. "}, {"role": "user", "content": "Hello, how are you?"},
         {"role": "assistant", "content": " Fine,\nthank \"you\". "},
         {"role": "user", "content": "  And {{ now }}? 你好 <b>&\t"}]
CALL = {"function": {"name": "weather", "arguments": {
    "place": "Zürich \u2028 <1>", "days": 3, "exact": True, "at": None, "list": [1.5, []], "map": {}}}}
CONVERSATIONS = [
    PLAIN, PLAIN[1:], PLAIN[1:3], PLAIN[:1], PLAIN[1:2] * 2, [PLAIN[2]],
    [{"role": "user", "content": "q"}, {"role": "assistant", "content": "<think>\nso\n</think>\n\nA."},
     {"role": "user", "content": "r"},
     {"role": "assistant", "content": "<think>\nthus\n</think>\n\nB."}],
    [{"role": "user", "content": "rain?"}, {"role": "assistant", "content": None, "tool_calls": [CALL]},
     {"role": "tool", "content": "no"}, {"role": "tool", "content": "yes"},
     {"role": "assistant", "content": "Perhaps."}],
    [{"role": "user", "content": [{"type": "text", "text": " see "}, {"type": "image"}]},
     {"role": "assistant", "content": "a cat"}],
]
TOOLS = [{"type": "function", "function": {"name": "weather", "description": "the WEATHER", "parameters": {
    "type": "object", "required": ["place"], "properties": {
        "place": {"type": "string"}, "days": {"type": "array", "items": {"type": "integer"}},
        "unit": {"type": "string", "enum": ["C", "F"]}, "more": {"type": "object", "properties": {"x": {}}}}}}},
    {"type": "function", "function": {"name": "time", "description": "", "parameters": {
        "type": "object", "properties": {}}}}]
SETTINGS = [{"add_generation_prompt": True}, {"add_generation_prompt": False, "tools": TOOLS, "enable_thinking": False,
                                              "use_default": True, "date_string": "1 May"}]
VARIABLES = {"s": " Straße, ÄÖ\n two  Words ", "l": [3, 1, 2.0, "x"], "n": 7, "f": 2.5, "d": {"b": 1, "A": [1, 2], "c": None},
             "e": "", "t": True, "none_value": None,
             "users": [{"name": "Bo", "age": 3}, {"name": "al", "age": 30}, {"name": "Cy"}]}
EXPRESSIONS = """\
{{ s | trim }}
{{ s.strip() }}
{{ s.lstrip() }}
{{ s.rstrip() }}
{{ 'xxaxx'.strip('x') }}
{{ 'xyaxy' | trim('xy') }}
{{ s | upper }}
{{ s | lower }}
{{ s | title }}
{{ s.title() }}
{{ 'heLLo wORLD' | capitalize }}
{{ 'ab-cd (ef' | title }}
{{ s | length }}
{{ l | count }}
{{ d | length }}
{{ e | length }}
{{ missing | length }}
{{ s[1:4] }}
{{ s[-3:] }}
{{ s[::-1] }}
{{ s[::2] }}
{{ l[1:] }}
{{ l[:-1] }}
{{ l[::-1] }}
{{ l[5:] }}
{{ l[-100:2] }}
{{ s[2] }}
{{ s[-2] }}
{{ l }}
{{ d }}
{{ t }}
{{ none_value }}
{{ f }}
{{ 1e20 }}
{{ 0.1 + 0.2 }}
{{ 1.0 }}
{{ 1e-7 }}
{{ 123456789.125 }}
{{ 1e16 }}
{{ 3.5e15 }}
{{ 7 // 2 }}
{{ -7 // 2 }}
{{ -7 % 3 }}
{{ 7 % -3 }}
{{ 7 / 2 }}
{{ 2 ** 10 }}
{{ 2 ** -1 }}
{{ -2 ** 2 }}
{{ 7.5 // 2 }}
{{ -7.5 % 2 }}
{{ 1 + 2 * 3 - 4 }}
{{ 'a' ~ 1 ~ none_value ~ missing ~ t }}
{{ 'a' * 3 }}
{{ [1] + [2] }}
{{ 'a' 'b' }}
{{ 1 < 2 < 3 }}
{{ 1 == 1.0 }}
{{ 'a' < 'b' }}
{{ t == 1 }}
{{ 'x' in l }}
{{ 1 not in l }}
{{ 'A' in d }}
{{ 'ra' in s }}
{{ [1, 2] == [1, 2] }}
{{ 2 > 1 > 3 }}
{{ not t }}
{{ t and 'yes' }}
{{ e or 'no' }}
{{ (t and e) or f }}
{{ 'a' if t else 'b' }}
{{ 'a' if e }}
{{ 'a' if e else 'b' if e else 'c' }}
{{ missing | default('x') }}
{{ e | default('x') }}
{{ e | default('x', true) }}
{{ none_value | d('y', boolean=true) }}
{{ missing is defined }}
{{ s is defined }}
{{ s is string }}
{{ l is iterable }}
{{ d is mapping }}
{{ n is number }}
{{ f is float }}
{{ n is integer }}
{{ t is boolean }}
{{ t is true }}
{{ none_value is none }}
{{ l is sequence }}
{{ n is odd }}
{{ n is even }}
{{ n is divisibleby 7 }}
{{ n is not divisibleby(2) }}
{{ n is eq 7 }}
{{ n is in [7, 8] }}
{{ 'AB' is upper }}
{{ range is callable }}
{{ n is gt 3 }}
{{ l | first }}
{{ l | last }}
{{ l | join(', ') }}
{{ users | join('+', attribute='name') }}
{{ l | reverse | list }}
{{ 'abc' | reverse }}
{{ 'abc' | list }}
{{ users | map(attribute='name') | join }}
{{ users | map(attribute='age', default=0) | list }}
{{ ['a', 'b'] | map('upper') | join('/') }}
{{ users | selectattr('age') | map(attribute='name') | list }}
{{ users | rejectattr('age', 'defined') | list }}
{{ users[:2] | selectattr('age', 'gt', 3) | list }}
{{ l | select('number') | list }}
{{ l | reject('string') | sum }}
{{ [0, 1, ''] | select | list }}
{{ [1, 2] | sum }}
{{ users[:2] | sum(attribute='age') }}
{{ [3, 1, 2] | sort }}
{{ ['b', 'A', 'c'] | sort }}
{{ ['b', 'A'] | sort(case_sensitive=true, reverse=true) }}
{{ users[:2] | sort(attribute='name') | map(attribute='name') | list }}
{{ ['a', 'A', 'b', 'a'] | unique | list }}
{{ [2, 3] | max }}
{{ [] | max }}
{{ d | dictsort }}
{{ d | items | list }}
{{ d.items() | list }}
{{ d.keys() | list }}
{{ d.values() | list }}
{{ d.get('A') }}
{{ d.get('z') }}
{{ d.get('z', 4) }}
{{ d | tojson }}
{{ d | tojson(indent=2) }}
{{ users | tojson(separators=(',', ':')) }}
{{ s | tojson }}
{{ s | tojson(ensure_ascii=true) }}
{{ '\\x01"\\\\/' | tojson }}
{{ d | tojson(sort_keys=true) }}
{{ f | tojson }}
{{ 'a,b,,c'.split(',') }}
{{ 'a,b,c'.split(',', 1) }}
{{ 'a,b,c'.rsplit(',', 1) }}
{{ s.split() }}
{{ ' a b  c '.split(none, 1) }}
{{ 'a\\nb\\r\\nc'.splitlines() }}
{{ s.replace(' ', '_') }}
{{ 'aaa' | replace('a', 'b', 2) }}
{{ 'aaa'.replace('', '-') }}
{{ s.startswith(' St') }}
{{ 'abc'.endswith(('x', 'bc')) }}
{{ 'abc'.find('c') }}
{{ 'ßac'.find('c') }}
{{ 'abc'.find('x') }}
{{ 'aXbX'.rfind('X') }}
{{ 'aaa'.count('a') }}
{{ 'abc'.removeprefix('a') }}
{{ 'abc'.removesuffix('bc') }}
{{ '-'.join(['a', 'b']) }}
{{ '12'.isdigit() }}
{{ 'Ab'.isalpha() }}
{{ ' '.isspace() }}
{{ 'AB'.isupper() }}
{{ 'a1'.islower() }}
{{ '42' | int }}
{{ 'x' | int }}
{{ 'x' | int(7) }}
{{ '3.9' | int }}
{{ '2.5' | float }}
{{ n | float }}
{{ n | string ~ 'x' }}
{{ -3 | abs }}
{{ (-3) | abs }}
{{ 2.567 | round(1) }}
{{ 2.5 | round }}
{{ 2.1 | round(method='ceil') }}
{{ 'a\\nb\\n\\nc' | indent }}
{{ 'a\\nb' | indent(2, true) }}
{{ 'a\\n\\nb' | indent(width=1, blank=true) }}
{{ d.items is defined }}{{ d['keys'] is callable }}{{ {'items': 1}['items'] }}{{ {'items': 1}.items == 1 }}
{{ {'update': 1}.update is defined }}{{ {'update': 1}['update'] }}{{ d.update is defined }}{{ d.z is defined }}
{{ [d] | selectattr('items') | list }}{{ [{'items': 1}] | map(attribute='items') | list }}
{{ 7.5 % 0.1 }} {{ 7.5 // 0.1 }} {{ -7.5 % 2 }} {{ 7.5 % -2 }} {{ -7.5 // 2 }} {{ 6.0 % -2 }} {{ -0.0 }} {{ 1 // 3.0 }}
{{ 5.0 % 1e999 }} {{ -5.0 % 1e999 }} {{ -5.0 // 1e999 }} {{ 0.0 // -2 }}
{{ '0x1F' | int }} {{ '1_000' | int }} {{ '1_0.5' | float }} {{ '-Infinity' | float }} {{ 'nan' | float }}
{{ '0x1p3' | float(7) }} {{ ' .5 ' | float }} {{ '5.' | float }} {{ '.' | float(7) }} {{ '1e5' | float }}
{{ '1e' | float(7) }} {{ '+1.5E-2' | float }} {{ '1__0' | float(7) }} {{ '_1' | int(7) }} {{ 'inf' | int(7) }}
{{ '-3.9' | int }} {{ '- 3' | int(7) }} {{ '+-3' | int(7) }} {{ '+3' | int }} {{ '1e999' | float }} {{ '1e-320' | float }}
{{ 10 | round(400) }} {{ 1.5 | round(400) }} {{ 10.5 | round(-400) }} {{ 12345 | round(-2) }} {{ 12 | round }}
{{ 12 | round(0, 'ceil') }} {{ 2.345 | round(2, 'floor') }} {{ -2.5 | round }} {{ -0.4 | round }} {{ true | round }}
{{ 2 * 'ab' }} {{ [1] * 2 }} {{ 2 * [1, 'a'] }} {{ (1,) * 2 }} {{ (1,) + (2,) }} {{ [1] * -1 }} {{ true * 'ab' }}
{% for i in [1, 2, 3] %}{{ i }}{% set x %}a{% if i == 2 %}{% break %}{% endif %}{% endset %}{{ x }}{% endfor %}
{% for i in [1, 2, 3] %}{{ i }}{% set x %}a{% if i == 2 %}{% continue %}{% endif %}{% endset %}{{ x }}{% endfor %}
{{ range(3) | list }}
{{ range(1, 7, 2) | list }}
{{ range(3, 0, -1) | list }}
{{ dict(a=1, b='x') }}
{{ {'k': [1, {'z': 2}]}['k'][1].z }}
{{ (1, 2)[1] }}
{{ l.0 }}
{% for a, b in [[1, 2], [3, 4]] %}{{ a + b }}{{ loop.index }}{{ loop.first }}{{ loop.last }}{{ loop.revindex }}\
{{ loop.length }}{{ loop.cycle('o', 'e') }}{% endfor %}
{% for x in [] %}a{% else %}empty{% endfor %}
{% for x in l if x != 1 %}{{ x }}:{{ loop.index0 }};{% endfor %}
{% for c in 'añb' %}{{ c }}.{% endfor %}
{% for k in d %}{{ k }}{% endfor %}
{% for x in [1, 2, 3] %}{{ loop.previtem | default('-') }}<{{ x }}>{{ loop.nextitem if not loop.last }}\
{% for y in [1] %}{{ loop.depth }}{% endfor %}{% endfor %}
{% set x = 1 %}{% for i in [1, 2] %}{% set x = x + i %}{{ x }}{% endfor %}{{ x }}{% set a, b = 1, 2 %}{{ a }}{{ b }}\
{% set ns = namespace({'q': 1}, r=2) %}{% for i in l %}{% set ns.q = ns.q + 1 %}{% endfor %}{{ ns.q }}{{ ns.r }}
""".splitlines()
LAYOUT = """\
{% set block %}  in {{ n }} {% endset %}[{{ block }}]{% if false %}{% elif none_value %}{% else %}else{% endif %}\
{% raw %}{{ not }} {% this %}{% endraw %}|{# comment #}|{#- x -#} y
  {%- if true %} a {% endif -%}   b
   {% if true +%}
c{% endif %}
{%+ if true %}d{% endif %}

\t {% if true %}
  e
\t {% endif %}
f{{ '\\u00e9\\t\\'' }}{{ "it's \\"q\\"" }}{{ ['it\\'s', 'q"', '\\n'] }}
{{- '\\n' -}}
g {{ true }} {{ False }} {{ None }} {{ 1_000 }}{% for x in [1,2,3,4] %}{% if x == 2 %}{% continue %}{% endif %}\
{% if x == 4 %}{% break %}{% endif %}{{ x }}{% endfor %}
"""
EXPRESSIONS += [LAYOUT, "a\r\nb\rc\n\n", "  {{ 1 }}\n  {# c #}\n x", "{% if true -%}\n\n x {%- endif %} y"]


def render(template, messages, variables):
    tokens = {"bos_token": "<s>", "eos_token": "</s>"}
    try:
        return render_jinja_template([messages], chat_template=template, **{**tokens, **variables})[0][0]
    except jinja2.exceptions.TemplateError as error:
        return {"error": error.message if type(error) is jinja2.exceptions.TemplateError else ""}


def main():
    cases = []
    for name, template in TEMPLATES.items():
        for i, conversation in enumerate(CONVERSATIONS):
            for k, variables in enumerate(SETTINGS):
                try:
                    result = render(template, conversation, variables)
                except (TypeError, AttributeError):  # a content of another type than the template takes
                    continue
                cases.append([name, i, k, result])
    expressions = [[one, render(one, [], {**VARIABLES, "bos_token": "<s>"})] for one in EXPRESSIONS]
    for one, result in expressions:
        assert isinstance(result, str), (one, result)
    path = pathlib.Path(__file__).with_name("chat_templates.json")
    path.write_text(json.dumps({"templates": TEMPLATES, "conversations": CONVERSATIONS, "settings": SETTINGS,
                                "cases": cases, "expressions": expressions,
                                "variables": VARIABLES}, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")
    print(len(cases), "cases,", sum(not isinstance(c[3], str) for c in cases), "errors,", len(expressions),
          "expressions,",
          path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
