"""The national record in Avro: its schema, its bytes, and what targets are sent of it.

    schemas/reference/dictionary.csv ──generate──► schemas/avro/*.avsc ──schema──► FieldSpec, parsed schemas
                                                                          │
    dict ◄──codec──► head | body | evidence bytes                         └──► payload: official names

Rules a change must respect:

- `head`, `body`, `evidence` in this order; body and evidence are encoded once, at intake, and copied as bytes
  from then on. The content hash is the SHA-256 of the body's bytes.
- The avsc files are generated (`python -m gateway.national.generate`); never edit them by hand.
- A released schema (`schemas/avro/released/`) never changes; the current one reads all of them.
- No error text of this package repeats a value of a record.
"""
