"""A page that animates a face in the browser while somebody speaks: network, post-processing and recording run there.

`face` turns a deployed streaming model into what the page computes with, `folder` writes the page as files for any web
server, `server` serves them on this machine, `take` exports what the page recorded. `web/` is the program.
"""
