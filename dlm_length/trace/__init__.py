"""One answer while it is being denoised: recorded forward by forward, shown on a terminal and as a page.

`record` turns a policy into one whose forwards are recorded, `sample` applies that to one sample of a run, `terminal`
and `page` show what it gave, and `schema` is the JSON that the page reads.
"""
