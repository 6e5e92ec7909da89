-- Where in a trace it was written down that a task is to come; NULL where nobody traced it. What is
-- done for it is linked to that.
ALTER TABLE scheduled_tasks ADD COLUMN traceparent TEXT;
