"""The gateway for Vietnam's digital school records (học bạ số): the way of one record.

    vendor.<v>.records ─► 1 intake ─► gateway.mapped ─► 2 identity ─► national.records ─► 3 delivery ─► targets
                             │                             │                                │
                             ▼                             ▼                                ▼
                     vendor.<v>.rejected             parked (ledger)                  parked (ledger)
                             └────────────── vendor.<v>.receipts: the fate of each event ──────┘
                                                           │
                                                     4 tower (Faust) ─► ledger ─► 5 ops

Imports point only downward: ops, sandbox, workers, edges, the pure stages, national, and the
vocabulary (config, record, outcomes, errors).  The pure stages know no clock, dice or client library.
"""
