"""Records: the files that describe results, declared once for those who write and who read them.

`done.json` of a stage (`Done`, the metrics of an evaluation as `Evaluation`), its `items.jsonl`
(`Item`), and the lock of a study (`Lock`). Fields that are not declared are kept and are no damage,
because a newer kollama2 may have written more. A lock and a `done.json` name the version that wrote
them; `done.json` speaks for the files beside it.
"""
