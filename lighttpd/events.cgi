#!/bin/sh
# The stream as plain CGI, for cgi.conf: gives the responder its options and becomes it.
exec /usr/sbin/freshet-fcgi --db /var/lib/freshet/events.db
