<?php
// The loop that people write in PHP, as a peer of the bench: one FPM process per client, which asks
// the same table ten times a second.
const POLL_US = 100000;
const PAGE = 1000;

set_time_limit(0);
while (ob_get_level() > 0)
    ob_end_clean();
header('Content-Type: text/event-stream');
header('Cache-Control: no-cache');
header('X-Accel-Buffering: no');
echo ": hello\n\n";
flush();

$db = new PDO('sqlite:' . $_SERVER['BENCH_DB']);
$db->setAttribute(PDO::ATTR_ERRMODE, PDO::ERRMODE_EXCEPTION);
$db->exec('PRAGMA query_only = 1; PRAGMA busy_timeout = 10000');
$topic = $_GET['topic'];
if (isset($_SERVER['HTTP_LAST_EVENT_ID']))
    $last = (int) $_SERVER['HTTP_LAST_EVENT_ID'];
elseif (($_GET['since'] ?? '') === 'earliest')
    $last = 0;
else
    $last = (int) $db->query('SELECT max(id) FROM events')->fetchColumn();
$page = $db->prepare('SELECT id, data FROM events WHERE topic = ? AND id > ? ORDER BY id LIMIT ' . PAGE);

while (!connection_aborted()) {
    $page->execute([$topic, $last]);
    $rows = $page->fetchAll(PDO::FETCH_NUM);
    foreach ($rows as [$last, $data])
        echo "id: $last\ndata: $data\n\n";
    flush();
    if (count($rows) < PAGE)
        usleep(POLL_US);
}
