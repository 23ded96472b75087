"""Traces: one answer recorded forward by forward while it is denoised, shown on a terminal or as an HTML page.

`record` wraps a policy so that its forwards are recorded, `sample` traces one sample of a run, `terminal` and `page`
show the trace, `report` makes the pages of a report, and `schema` is the JSON that a page reads.
"""
