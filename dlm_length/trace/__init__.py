"""One answer while it is being denoised: recorded forward by forward, shown on a terminal and as a page.

`record` turns a policy into one whose forwards are recorded, `sample` applies that to one sample of a run, `terminal`
and `page` show the result, `report` makes the pages that a report embeds, and `schema` is the JSON that a page reads.
"""
