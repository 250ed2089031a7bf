"""An OpenAI-compatible upstream without a model behind it: what it answers follows from the model's name.

A name is `demo` and any number of behaviours, joined by `-` or `:`, each with its numbers:

| name | does |
|---|---|
| `demo` | a short answer at a realistic pace, with exact usage by its own tokenizer (a token is a word) |
| `demo-fast` | the same without pauses |
| `demo-usage:PROMPT:CACHED:COMPLETION` | reports this usage, without pauses; the request's maximum cuts it |
| `demo-words:N` | an answer of N tokens |
| `demo-pace:MS` | a pause of MS milliseconds before each chunk |
| `demo-slow:MS` | waits MS milliseconds before it answers at all |
| `demo-silent:SECONDS` | falls silent after the first chunk of a stream |
| `demo-cut` | breaks the connection in the middle of the answer |
| `demo-nousage` | never tells its usage |
| `demo-error:STATUS` | answers with that HTTP status and an error in OpenAI's shape |
| `demo-tools` | calls the first tool of the request |
| `demo-reasoning` | thinks first: reasoning content, and reasoning tokens within the completion |

So `demo-usage:1000:200:50-pace:20-cut` reports usage, pauses 20 ms a chunk and breaks off. Any other name is `demo`.
"""
