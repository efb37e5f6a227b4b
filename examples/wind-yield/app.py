"""The energy yield of a wind turbine from the wind speeds it has seen."""

CUT_IN = 3.5  # m/s: below, the rotor stands still
RATED = 13.0  # m/s: from here on the turbine gives its rated power
CUT_OUT = 25.0  # m/s: above, the turbine protects itself and stops


def power_fraction(wind_speed):
    """Give the part of its rated power that the turbine delivers.

    Between cut-in and rated wind speed the power follows the cube of the wind speed, the usual simple power curve.

    :param wind_speed: at hub height, m/s.
    """
    if wind_speed < CUT_IN or wind_speed > CUT_OUT:
        return 0.0
    if wind_speed >= RATED:
        return 1.0
    return (wind_speed**3 - CUT_IN**3) / (RATED**3 - CUT_IN**3)


def run(analysis):
    """Answer a question: Octue calls this with the question's input values and sends off the output values."""
    wind_speeds = analysis.input_values["hourly_wind_speeds"]
    rated_power = analysis.input_values["rated_power"]

    full_load_hours = sum(power_fraction(wind_speed) for wind_speed in wind_speeds)

    analysis.output_values = {
        "energy_yield": round(full_load_hours * rated_power, 3),
        "capacity_factor": round(full_load_hours / len(wind_speeds), 3),
    }
