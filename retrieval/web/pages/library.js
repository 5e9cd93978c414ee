import "./api.js";
import "./chosen.js";
