"""The front door of work: job files read, admitted, run and booked."""
