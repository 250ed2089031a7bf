-- Spreads requests over the users and prints the figures as one JSON line.
-- Arguments after `--`: path, users, body, then name and value of each header.

local threads = 0

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init(args)
  local path, users, body = args[1], tonumber(args[2]), args[3]
  local headers = { ["content-type"] = "application/json" }
  for index = 4, #args, 2 do
    headers[args[index]] = args[index + 1]
  end
  prepared = {}
  for user = 0, users - 1 do
    headers["x-user-id"] = string.format("bench-%04d", user)
    prepared[user] = wrk.format("POST", path, headers, body)
  end
  count = users
  nth = number * 487
end

function request()
  nth = nth + 1
  return prepared[nth % count]
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"duration_us":%d,"bytes":%d,"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d,' ..
    '"p50_us":%d,"p95_us":%d,"p99_us":%d}\n',
    summary.requests, summary.duration, summary.bytes,
    errors.connect, errors.read, errors.write, errors.status, errors.timeout,
    latency:percentile(50), latency:percentile(95), latency:percentile(99)))
end
