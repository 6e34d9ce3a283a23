-- wrk: short completions, a different prompt each time.
local model = os.getenv("MODEL")
local count = 0

request = function()
  count = count + 1
  local body = string.format('{"model":"%s","prompt":"request number %d","max_tokens":2}', model, count)
  return wrk.format("POST", "/v1/completions", {["content-type"] = "application/json"}, body)
end
