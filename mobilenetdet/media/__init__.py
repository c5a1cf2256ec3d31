"""Where pictures come from (files, videos, cameras, servers), and videos that are written."""
