#!/bin/sh
# The stream as plain CGI, for cgi.conf: runs the responder with its options.
exec /usr/sbin/freshet-fcgi --db /var/lib/freshet/events.db
